/// What the tests of this layer share: the small prior on any device, a problem, and the jobs that have to
/// run there, as users name them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <support/guarded_device.hpp>

#include <dwgf/flow/solve.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "input/settings.hpp"
#include "job/build.hpp"
#include "prior/moments.hpp"

namespace dwgf::test {

struct DeviceCase {
  std::string name;
  std::vector<std::string> options;  ///< of `restore`, over those of options_of
  std::string prior = "sd1";         ///< of tests/data
  std::string codec = {};            ///< of tests/data, in place of the prior's own, which is kept
};

inline std::string prior_data(const std::string& name) {
  return std::string(DWGF_TEST_DATA) + "/prior/" + name;
}

/// Every preset, every interaction, every method.
inline std::vector<DeviceCase> device_cases() {
  return {
      {"paper", {}},
      {"fast", {"--flow.preset", "fast"}},
      {"bayes", {"--flow.preset", "bayes"}},
      {"mean code", {"--flow.encode", "mean"}},
      {"gaussian", {"--flow.interaction", "gaussian"}},
      {"full covariance", {"--flow.interaction", "gaussian", "--flow.covariance", "full"}},
      {"lowrank covariance", {"--flow.interaction", "gaussian", "--flow.covariance", "lowrank"}},
      {"no interaction", {"--flow.interaction", "none"}},
      // More particles than a latent has entries.
      {"affine", {"--flow.method", "affine", "--flow.particles", "15"}, "mixture.h5"},
      {"sdxl", {}, "sdxl"},
      {"rlsd", {"--flow.method", "rlsd"}},
      {"psld", {"--flow.method", "psld"}},
      {"latent-dps", {"--flow.method", "latent-dps"}},
      {"kalman", {"--flow.preset", "quick-posterior"}},
      {"latino", {"--flow.method", "latino"}},
      {"latino measured", {"--flow.method", "latino", "--flow.delta", "measured"}},
      {"stable diffusion 3", {"--flow.method", "latino"}, "sd3"},
      {"stable diffusion 3.5", {"--flow.preset", "fast"}, "sd35"},
      {"few steps", {"--flow.method", "latino"}, "lcm"},
      {"tiny autoencoder", {"--prior.codec", prior_data("taesd"), "--flow.polish", "1"}, "turbo", "taesd"}};
}

/// Options, and others that take the place of those of the same name: a command line names each once.
inline std::vector<std::string> with_options(std::vector<std::string> words,
                                             const std::vector<std::string>& others) {
  for (std::size_t k = 0; k + 1 < others.size(); k += 2) {
    const auto earlier = std::find(words.begin(), words.end(), others[k]);
    if (earlier != words.end()) words.erase(earlier, earlier + 2);
  }
  words.insert(words.end(), others.begin(), others.end());
  return words;
}

/// Three particles in two micro-batches, so that one is padded.
inline FlowOptions options_of(const DeviceCase& one, std::int64_t steps) {
  const std::vector<std::string> words =
      with_options({"--flow.particles", "3", "--flow.micro_batch", "2", "--flow.grid", "20", "--flow.steps",
                    std::to_string(steps)},
                   one.options);
  return flow_options(parse_settings(*find_command("restore"), words).as<JobInput>());
}

/// Waves on [-1, 1], the same on every machine.
inline at::Tensor waves(at::IntArrayRef shape, at::ScalarType type, double frequency = 0.37) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (frequency * at::arange(count, at::kDouble).square().fmod(1009.0)).sin().reshape(shape).to(type);
}

/// Moments of no meaning, for images of any size.
inline std::shared_ptr<const PriorMoments> some_moments(const Prior& prior) {
  const Cells cells(prior.geometry, prior.geometry.canvas(32, 32));
  const std::int64_t values = cells.values();
  const JointMoments moments{.factor = {},
                             .variance = at::full({values, 1, 1}, 0.02, at::kFloat),
                             .scale = {},
                             .root = 0.05 * waves({values, 8, 3, 3}, at::kFloat)};
  return std::make_shared<const PriorMoments>(
      std::vector<PriorMoments::AtLevel>{{-1.0, moments}, {1.0, moments}}, at::zeros({values, 1, 1}), moments,
      std::map<std::string, std::string>{{"prior_sha256", prior.sha256}});
}

inline std::unique_ptr<Prior> small_prior(const c10::Device& device, at::ScalarType type,
                                          const std::string& name = "sd1", const std::string& codec = {}) {
  PriorOptions options;
  if (!codec.empty()) options.codec = prior_data(codec);
  options.keeps_own_codec = true;
  options.dtype = type;
  options.device = device;
  auto prior = load_prior(prior_data(name), options);
  if (!prior->geometry.only) prior->moments = some_moments(*prior);
  return prior;
}

/// An image that the prior takes, averaged over squares where it is large enough, with noise.
struct SmallProblem {
  explicit SmallProblem(const Prior& prior) : prior(prior) {
    if (const auto& only = prior.geometry.only)
      shape = {prior.geometry.image_channels, only->height, only->width};
    forward = make_operator(shape.height % 4 == 0 ? "mean:4" : "identity", {shape, 1, 3});
    noise = make_noise_model("gaussian", 0.05, *forward);
    y = measure(*forward, *noise, waves({shape.channels, shape.height, shape.width}, at::kFloat), 1, 3);
  }

  Problem problem() const { return {prior, *forward, y, shape, 3, noise.get()}; }

  const Prior& prior;
  ImageShape shape{3, 32, 32};
  std::shared_ptr<const ForwardOperator> forward;
  std::unique_ptr<NoiseModel> noise;
  at::Tensor y;
};

/// |a - b| over |b|, in float64 on the host.
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  if (a.sizes() != b.sizes()) return INFINITY;
  const at::Tensor expected = b.cpu().to(at::kDouble);
  const double scale = expected.norm().item<double>();
  return (a.cpu().to(at::kDouble) - expected).norm().item<double>() / (scale > 0.0 ? scale : 1.0);
}

}  // namespace dwgf::test
