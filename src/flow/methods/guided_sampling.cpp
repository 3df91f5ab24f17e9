#include "flow/methods/guided_sampling.hpp"

#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/times.hpp>

#include "flow/draws.hpp"
#include "flow/methods/reverse_diffusion.hpp"

namespace dwgf {

namespace {

/// The levels that the steps begin at, and the clean one.
std::vector<Level> noise_levels(const NoisePath& path, const FlowOptions& options) {
  std::vector<Level> levels = evenly_spaced_levels(path, options);
  levels.push_back({1.0, 0.0});
  return levels;
}

class GuidedSampling final : public FlowMethod {
 public:
  GuidedSampling(const MethodSetup& setup, std::unique_ptr<Guidance> guidance)
      : problem_(setup.problem),
        seed_(setup.options.seed),
        eta_(setup.options.guidance.eta),
        levels_(noise_levels(*problem_.prior.path, setup.options)),
        guidance_(std::move(guidance)) {}

  void step(FlowState& state, StepRecords& records) override {
    const auto step = static_cast<std::size_t>(state.step);
    const Level &level = levels_[step], &next = levels_[step + 1];
    const double sigma = step_noise(level, next, eta_);
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      ParticleBatch& batch = state.batches[b];
      const Vjp predicted = problem_.prior.noise_vjp(batch.z, level);
      const at::Tensor z0 = clean_estimate(batch.z, predicted.value, level);  // [M, c, h, w]

      const GuidanceGradient at_clean = guidance_->gradient(z0);
      const at::Tensor guided = clean_estimate(at_clean.gradient, predicted.pull(at_clean.gradient), level);

      at::Tensor fresh;
      if (sigma > 0.0) {
        fresh = normals_like(batch.z, {seed_, problem_.image, static_cast<std::uint32_t>(batch.first),
                                       static_cast<std::uint32_t>(state.step), Purpose::noising});
      }
      const at::Tensor unguided = reverse_step(z0, predicted.value, next, sigma, fresh);
      records.add(
          {{"misfit", at_clean.misfit}, {"data_gradient", guided}, {"prior_gradient", unguided - batch.z}});
      batch.z = unguided - guided;
    }
  }

 private:
  const Problem& problem_;
  const std::uint64_t seed_;
  const double eta_;
  const std::vector<Level> levels_;
  const std::unique_ptr<Guidance> guidance_;
};

}  // namespace

std::unique_ptr<FlowMethod> guided_sampling(const MethodSetup& setup, std::unique_ptr<Guidance> guidance) {
  if (setup.options.stall != 0.0) throw UsageError("a guided sampler that stops early has no result");
  return std::make_unique<GuidedSampling>(setup, std::move(guidance));
}

}  // namespace dwgf
