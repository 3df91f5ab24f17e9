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
std::vector<NoiseLevel> noise_levels(const NoiseSchedule& schedule, const FlowOptions& options) {
  std::vector<std::int64_t> times = schedule.times(options.grid);
  times.resize(static_cast<std::size_t>(step_count(options)));
  std::vector<NoiseLevel> levels;
  for (const std::int64_t t : times) levels.push_back({schedule.signal(t), schedule.noise(t)});
  levels.push_back({1.0, 0.0});
  return levels;
}

class GuidedSampling final : public FlowMethod {
 public:
  GuidedSampling(const MethodSetup& setup, std::unique_ptr<Guidance> guidance)
      : problem_(setup.problem),
        seed_(setup.options.seed),
        eta_(setup.options.guidance.eta),
        times_(problem_.prior.schedule().times(setup.options.grid)),
        levels_(noise_levels(problem_.prior.schedule(), setup.options)),
        guidance_(std::move(guidance)) {}

  void step(FlowState& state, StepRecords& records) override {
    const auto step = static_cast<std::size_t>(state.step);
    const NoiseLevel &level = levels_[step], &next = levels_[step + 1];
    const double sigma = step_noise(level, next, eta_);
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      ParticleBatch& batch = state.batches[b];
      const PredictedNoise predicted = problem_.prior.predict_noise_with_pull_back(batch.z, times_[step]);
      const at::Tensor z0 = clean_estimate(batch.z, predicted.noise, level);  // [M, c, h, w]

      const GuidanceGradient at_clean = guidance_->gradient(z0);
      const at::Tensor guided =
          clean_estimate(at_clean.gradient, predicted.pull_back(at_clean.gradient), level);

      at::Tensor fresh;
      if (sigma > 0.0) {
        fresh = normals_like(batch.z, {seed_, problem_.image, static_cast<std::uint32_t>(batch.first),
                                       static_cast<std::uint32_t>(state.step), Purpose::noising});
      }
      const at::Tensor unguided = reverse_step(z0, predicted.noise, next, sigma, fresh);
      records.add(
          {{"misfit", at_clean.misfit}, {"data_gradient", guided}, {"prior_gradient", unguided - batch.z}});
      batch.z = unguided - guided;
    }
  }

 private:
  const Problem& problem_;
  const std::uint64_t seed_;
  const double eta_;
  const std::vector<std::int64_t> times_;
  const std::vector<NoiseLevel> levels_;
  const std::unique_ptr<Guidance> guidance_;
};

}  // namespace

std::unique_ptr<FlowMethod> guided_sampling(const MethodSetup& setup, std::unique_ptr<Guidance> guidance) {
  if (setup.options.stall != 0.0) throw UsageError("a guided sampler that stops early has no result");
  return std::make_unique<GuidedSampling>(setup, std::move(guidance));
}

}  // namespace dwgf
