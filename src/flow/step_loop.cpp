#include <utility>

#include <dwgf/flow/step_loop.hpp>

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

}  // namespace dwgf
