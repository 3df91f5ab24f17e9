#include <memory>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/solve.hpp>

#include "flow/joint_unknowns.hpp"
#include "flow/known_methods.hpp"
#include "flow/methods/kalman.hpp"
#include "prior/windows.hpp"

namespace dwgf {

namespace {

/// This rank's particles of the problem, z ~ N(0, I).
FlowState start_of(const Problem& problem, const FlowOptions& options, const RankGroup& group) {
  const PriorGeometry& geometry = problem.prior.geometry;
  const Canvas canvas = geometry.canvas(problem.image_shape.height, problem.image_shape.width);
  return initial_state(
      share_particles(options.particles, options.micro_batch, group.host.rank(), group.host.size()),
      {geometry.latent_channels, canvas.latent_height, canvas.latent_width}, options.seed, problem.image,
      problem.prior.options);
}

constexpr std::int64_t kStartGrid = 9;

/// Moves the particles of `state` to where kalman leaves them, and the unknowns with them.
void start_by_kalman(FlowState& state, const Problem& problem, JointUnknowns& unknowns,
                     const FlowOptions& options, const RankGroup& group) {
  FlowOptions first = options;
  first.method = Method::kalman;
  first.start = Start::noise;
  first.grid = kStartGrid;
  first.steps = first.settle = 0;
  first.stall = 0.0;
  const std::unique_ptr<FlowMethod> kalman = make_kalman({problem, first, group.tensors, state});
  const std::int64_t steps = step_count(first);
  Monitor unrecorded(first, steps, group.host);
  MovingWindows windows(problem.prior, options.seed, problem.image);
  for (; state.step < steps; ++state.step) {
    windows.enter(state.step);
    StepRecords records(unrecorded, state, problem.prior);
    kalman->step(state, records);
    unknowns.update(state, problem, steps, group.host);
    unrecorded.finish_step(state);
  }
  unrecorded.finish();
  state.step = 0;
  for (ParticleBatch& batch : state.batches) batch.image = at::Tensor();
  for (UnknownState& unknown : state.unknowns) unknown.recent = unknown.trace = {};
}

/// A problem whose prior decodes by `codec`, and in the last steps by its full one, with the present values
/// of its unknowns.
class Polished {
 public:
  Polished(const Problem& problem, const FlowOptions& options)
      : prior_(problem.prior),
        unknowns_(problem),
        problem_{prior_,        unknowns_.forward(), problem.y,         problem.image_shape,
                 problem.image, unknowns_.noise(),   unknowns_.memory()},
        first_(step_count(options) - options.polish) {
    if (options.polish > 0 && !prior_.full_codec) {
      throw UsageError(
          "flow.polish = {}: the prior has one autoencoder only; name a smaller one that is used before the "
          "last steps as prior.codec, or leave flow.polish out",
          options.polish);
    }
  }
  Polished(const Polished&) = delete;
  Polished& operator=(const Polished&) = delete;

  const Problem& problem() const { return problem_; }
  JointUnknowns& unknowns() { return unknowns_; }
  void enter(std::int64_t step) {
    if (step >= first_ && prior_.full_codec) prior_.codec = prior_.full_codec;
  }

 private:
  Prior prior_;
  JointUnknowns unknowns_;
  Problem problem_;
  std::int64_t first_;
};

}  // namespace

at::Tensor restored_images(const Prior& prior, const ParticleBatch& batch) {
  if (batch.image.defined()) return batch.image;
  return (prior.full_codec ? prior.full_codec : prior.codec)->decode(batch.z);
}

Solution solve(const Problem& problem, const FlowOptions& options, Collective& group) {
  FlowObserver nobody;
  return solve(problem, options, group, nobody);
}

Solution solve(const Problem& problem, const FlowOptions& options, Collective& group,
               FlowObserver& observer) {
  return solve(problem, options, RankGroup{group, group}, observer);
}

Solution solve(const Problem& problem, const FlowOptions& options, const RankGroup& group,
               FlowObserver& observer) {
  require_fits(options.method, problem.forward);
  return solve(problem, options, row_of(options.method), group, observer);
}

Solution solve(const Problem& problem, const FlowOptions& options, const MethodRow& row,
               const RankGroup& group, FlowObserver& observer) {
  Polished polished(problem, options);
  const Problem& own = polished.problem();
  JointUnknowns& unknowns = polished.unknowns();
  FlowState state = start_of(own, options, group);
  const std::int64_t steps = step_count(options);
  unknowns.begin(state, steps);
  if (options.start == Start::kalman) start_by_kalman(state, own, unknowns, options, group);
  const std::unique_ptr<FlowMethod> method = row.make({own, options, group.tensors, state});
  Monitor monitor(options, steps, group.host);
  observer.begin(state, monitor);
  unknowns.begin(state, steps);
  MovingWindows windows(own.prior, options.seed, own.image);
  bool wanted = !monitor.stalled();
  while (wanted && state.step < steps) {
    polished.enter(state.step);
    windows.enter(state.step);
    StepRecords records(monitor, state, own.prior);
    method->step(state, records);
    unknowns.update(state, own, steps, group.host);
    monitor.finish_step(state);
    ++state.step;
    wanted = observer.at_step_boundary(state, monitor) && !monitor.stalled();
  }
  const bool complete = state.step == steps || monitor.stalled();
  Solution solution{std::move(state), monitor.finish(), complete, {}, {}};
  if (!unknowns.none()) {
    solution.estimates = unknowns.estimates(solution.state);
    solution.parts = unknowns.parts_of(solution.estimates);
  }
  return solution;
}

}  // namespace dwgf
