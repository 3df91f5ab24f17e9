#include "flow/step_loop.hpp"

#include <utility>

namespace dwgf {

FlowState start_of(const Problem& problem, const FlowOptions& options, const RankGroup& group) {
  const PriorGeometry& geometry = problem.prior.geometry();
  const Canvas canvas = geometry.canvas(problem.image_shape.height, problem.image_shape.width);
  return initial_state(
      share_particles(options.particles, options.micro_batch, group.host.rank(), group.host.size()),
      {geometry.latent_channels, canvas.latent_height, canvas.latent_width}, options.seed, problem.image,
      problem.prior.options());
}

Solution take_steps(FlowState state, const FlowOptions& options, const RankGroup& group,
                    FlowObserver& observer, const MethodStep& step) {
  const std::int64_t steps = step_count(options);
  Monitor monitor(options, steps, group.host);
  observer.begin(state, monitor);
  bool wanted = !monitor.stalled();
  while (wanted && state.step < steps) {
    step(state, monitor);
    monitor.finish_step(state);
    ++state.step;
    wanted = observer.at_step_boundary(state, monitor) && !monitor.stalled();
  }
  const bool complete = state.step == steps || monitor.stalled();
  return {std::move(state), monitor.finish(), complete};
}

std::vector<PredictedBatch> predict(const FlowState& state, const Problem& problem,
                                    const FlowOptions& options, std::int64_t t, Interaction& interaction,
                                    const Placement& place) {
  const Prior& prior = problem.prior;
  interaction.begin(state);
  std::vector<PredictedBatch> predicted;
  for (const ParticleBatch& batch : state.batches) {
    const std::int64_t before = prior.calls_redone();
    NoisedBatch noised = place(
        batch, {options.seed, problem.image, 0, static_cast<std::uint32_t>(state.step), Purpose::noising});
    at::Tensor eps_theta = prior.predict_noise(noised.z_t, t);
    predicted.push_back({std::move(noised), std::move(eps_theta), prior.calls_redone() - before});
  }
  interaction.finish(state);
  return predicted;
}

}  // namespace dwgf
