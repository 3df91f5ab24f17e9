/// A step's first half: every micro-batch is noised and the prior asked, while the exchange of the
/// interaction is under way.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/base/random.hpp>
#include <dwgf/flow/method.hpp>

#include "flow/terms/interaction.hpp"

namespace dwgf {

/// One micro-batch at its noised place, and what the prior sees there.
struct PredictedBatch {
  NoisedBatch noised;
  at::Tensor eps_theta;  ///< eps_theta(z_t, t) [M, c, h, w]
};

/// Where a batch is noised to, as add_noise.
using Placement = std::function<NoisedBatch(const ParticleBatch& batch, const DrawAddress& noise)>;

/// All of this rank's batches at one level; `interaction` is ready for score() afterwards. Collective, as
/// begin() and finish() of the interaction are.
std::vector<PredictedBatch> predict(const FlowState& state, const MethodSetup& setup, const Level& level,
                                    Interaction& interaction, const Placement& place, StepRecords& records);

}  // namespace dwgf
