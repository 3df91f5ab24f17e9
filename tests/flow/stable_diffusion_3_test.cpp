// Every method on a prior whose path does not preserve variance and whose latents are made of patches.
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "input/settings.hpp"
#include "job/build.hpp"
#include "prior/moments.hpp"

namespace dwgf {
namespace {

at::Tensor waves(at::IntArrayRef shape, double frequency) {
  return (frequency * at::arange(c10::multiply_integers(shape), at::kFloat).square().fmod(1009.0))
      .sin()
      .reshape(shape);
}

/// Moments of no meaning.
std::shared_ptr<const PriorMoments> some_moments(const Prior& prior) {
  const Cells cells(prior.geometry, prior.geometry.canvas(30, 30));
  const std::int64_t values = cells.values();
  const JointMoments moments{.factor = {},
                             .variance = at::full({values, 1, 1}, 0.02, at::kFloat),
                             .scale = {},
                             .root = 0.05 * waves({values, 8, 3, 3}, 0.37)};
  return std::make_shared<const PriorMoments>(
      std::vector<PriorMoments::AtLevel>{{-1.0, moments}, {1.0, moments}}, at::zeros({values, 1, 1}), moments,
      std::map<std::string, std::string>{{"prior_sha256", prior.sha256}});
}

at::Tensor restored(const Prior& prior, const std::vector<std::string>& method, Collective& group) {
  const ImageShape shape{3, 30, 30};  // on a canvas of 32 x 32
  const auto forward = make_operator("mean:3", {shape, 1, 3});
  const auto noise = make_noise_model("gaussian", 0.05, *forward);
  const Problem problem{prior, *forward, measure(*forward, *noise, waves({3, 30, 30}, 0.53), 1, 3),
                        shape, 3,        noise.get()};
  std::vector<std::string> words = {"--flow.particles", "3", "--flow.micro_batch", "1", "--flow.grid", "6"};
  words.insert(words.end(), method.begin(), method.end());
  const FlowOptions options = flow_options(parse_settings(*find_command("restore"), words).as<JobInput>());
  const Solution solution = solve(problem, options, group);
  return solution.state.batches.empty() ? at::Tensor() : solution.state.batches.front().z.clone();
}

TEST(StableDiffusion3Flow, EveryMethodTakesItAndGivesTheSameBitsOnEveryNumberOfRanks) {
  at::set_num_threads(1);
  Communicator world = Communicator::world();
  for (const char* like : {"sd3", "sd35"}) {
    const auto prior = load_prior(std::string(DWGF_TEST_DATA) + "/prior/" + like, {});
    prior->moments = some_moments(*prior);
    for (const std::vector<std::string>& method : std::vector<std::vector<std::string>>{
             {"--flow.preset", "paper"},
             {"--flow.preset", "fast", "--flow.settle", "1"},
             {"--flow.preset", "bayes"},
             {"--flow.interaction", "gaussian", "--flow.objective", "bayes"},
             {"--flow.method", "rlsd"},
             {"--flow.method", "psld"},
             {"--flow.method", "latent-dps"},
             {"--flow.preset", "quick-posterior"},
             {"--flow.method", "latino"},
             {"--flow.method", "latino", "--flow.delta", "measured"}}) {
      SCOPED_TRACE(std::string(like) + " " + method.back());
      SelfCollective self;
      const at::Tensor alone = restored(*prior, method, self), shared = restored(*prior, method, world);
      EXPECT_TRUE(at::isfinite(alone).all().item<bool>());
      EXPECT_EQ(alone.sizes(), (std::vector<std::int64_t>{1, 16, 8, 8}));
      if (world.rank() == 0) {
        EXPECT_TRUE(at::equal(alone, shared));
      }
    }
  }
}

}  // namespace
}  // namespace dwgf
