/// The frame around a method's steps: the observer may begin it in the middle and end it between two steps, the monitor records,
/// and the step is counted.
#pragma once

#include <functional>

#include <dwgf/flow/solve.hpp>

namespace dwgf {

/// What a method does in step state.step: moves every batch, and gives the monitor what it wants. The same collectives in the same
/// order on every rank.
using MethodStep = std::function<void(FlowState& state, Monitor& monitor)>;

/// This rank's particles of the problem, z ~ N(0, I).
FlowState start_of(const Problem& problem, const FlowOptions& options, const RankGroup& group);

/// From `state` to its last step, as solve() (solve.hpp) describes it.
Solution take_steps(FlowState state, const FlowOptions& options, const RankGroup& group,
                    FlowObserver& observer, const MethodStep& step);

}  // namespace dwgf
