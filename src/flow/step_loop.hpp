/// What the methods share. The frame around their steps: the observer may begin it in the middle and end it
/// between two steps, the monitor records, and the step is counted. And a step's first half: the prior is
/// asked while the exchange is under way.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/random.hpp>
#include <dwgf/flow/solve.hpp>

#include "flow/terms/interaction.hpp"

namespace dwgf {

/// What a method does in step state.step: moves every batch, and gives the monitor what it wants. The same
/// collectives in the same order on every rank.
using MethodStep = std::function<void(FlowState& state, Monitor& monitor)>;

/// This rank's particles of the problem, z ~ N(0, I).
FlowState start_of(const Problem& problem, const FlowOptions& options, const RankGroup& group);

/// From `state` to its last step, as solve() (solve.hpp) describes it.
Solution take_steps(FlowState state, const FlowOptions& options, const RankGroup& group,
                    FlowObserver& observer, const MethodStep& step);

/// One micro-batch at its noised place, and what the prior sees there.
struct PredictedBatch {
  NoisedBatch noised;
  at::Tensor eps_theta;     ///< eps_theta(z_t, t) [M, c, h, w]
  std::int64_t redone = 0;  ///< network calls of this step that were made again in float32, so far
};

/// Where a batch is noised to (add_noise, or an integrator's place).
using Placement = std::function<NoisedBatch(const ParticleBatch& batch, const DrawAddress& noise)>;

/// All of this rank's batches at time t; `interaction` is ready for score() afterwards. Collective, as
/// begin() and finish() of the interaction are.
std::vector<PredictedBatch> predict(const FlowState& state, const Problem& problem,
                                    const FlowOptions& options, std::int64_t t, Interaction& interaction,
                                    const Placement& place);

}  // namespace dwgf
