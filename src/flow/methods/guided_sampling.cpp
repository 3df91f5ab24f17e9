#include "flow/methods/guided_sampling.hpp"

#include <vector>

#include <ATen/ATen.h>

#include "flow/draws.hpp"
#include "flow/methods/reverse_diffusion.hpp"
#include "flow/step_loop.hpp"
#include "flow/terms/guidance.hpp"

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

}  // namespace

Solution guided_sampling(const Problem& problem, const FlowOptions& options, const RankGroup& group,
                         FlowObserver& observer) {
  const Prior& prior = problem.prior;
  const std::vector<std::int64_t> times = prior.schedule().times(options.grid);
  const std::vector<NoiseLevel> levels = noise_levels(prior.schedule(), options);
  const auto guidance = make_guidance(problem, options);

  const auto sample_step = [&](FlowState& state, Monitor& monitor) {
    const auto step = static_cast<std::size_t>(state.step);
    const NoiseLevel &level = levels[step], &next = levels[step + 1];
    const double sigma = step_noise(level, next, options.guidance.eta);
    for (ParticleBatch& batch : state.batches) {
      const std::int64_t before = prior.calls_redone();
      const PredictedNoise predicted = prior.predict_noise_with_pull_back(batch.z, times[step]);
      const at::Tensor z0 = clean_estimate(batch.z, predicted.noise, level);  // [M, c, h, w]

      const GuidanceGradient at_clean = guidance->gradient(z0);
      const at::Tensor guided =
          clean_estimate(at_clean.gradient, predicted.pull_back(at_clean.gradient), level);

      at::Tensor fresh;
      if (sigma > 0.0) {
        fresh = normals_like(batch.z, {options.seed, problem.image, static_cast<std::uint32_t>(batch.first),
                                       static_cast<std::uint32_t>(state.step), Purpose::noising});
      }
      const at::Tensor unguided = reverse_step(z0, predicted.noise, next, sigma, fresh);
      if (monitor.wants(state.step)) {
        monitor.observe(batch, at_clean.misfit, guided, unguided - batch.z,
                        at::ones({batch.z.size(0)}, at::kDouble), prior.calls_redone() - before);
      }
      batch.z = unguided - guided;
    }
  };
  return take_steps(start_of(problem, options, group), options, group, observer, sample_step);
}

}  // namespace dwgf
