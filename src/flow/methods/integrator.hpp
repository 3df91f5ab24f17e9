/// How the particles of a gradient flow move, and where their scores are taken.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/state.hpp>

#include "flow/terms/interaction.hpp"

namespace dwgf {

class Integrator {
 public:
  virtual ~Integrator() = default;
  /// Where the prior's and the ensemble's scores are taken: at the noised particles (adam), or at the
  /// particles themselves with a = 1, s = 0 (affine). `address`: of the noise, whose particle is the batch's.
  virtual NoisedBatch place(const ParticleBatch& batch, const NoiseSchedule& schedule, std::int64_t time,
                            const DrawAddress& address) const = 0;
  /// beta of the likelihood at this time; `variance` is the noise's.
  virtual double tempering(double variance, double prior_noise) const = 0;
  /// Moves all batches of the rank against their gradients [M, c, h, w]. The same on all ranks of the group:
  /// it may be collective.
  virtual void move(FlowState& state, const std::vector<at::Tensor>& gradients) = 0;
};

/// Adam, or the affine flow. Throws UsageError where the affine flow has no more particles than latent
/// entries, or cannot use the options' interaction. @pre `group` outlives the integrator.
std::unique_ptr<Integrator> make_integrator(const FlowOptions& options, const FlowState& state,
                                            Collective& group);

}  // namespace dwgf
