/// Diffusion-regularised Wasserstein gradient flow (arXiv 2509.19276). A step at a level of the grid:
/// particles are placed at z_t, and each moves against
///
///   g = J_D^T c + g_R        (terms/data_term.hpp, terms/regulariser.hpp, terms/interaction.hpp)
///
/// dwgf noises particles as published and moves them by Adam; affine.hpp does both otherwise.
#pragma once

#include <memory>
#include <vector>

#include <dwgf/flow/method.hpp>

#include "flow/methods/adam.hpp"
#include "flow/terms/data_term.hpp"
#include "flow/terms/interaction.hpp"

namespace dwgf {

class GradientFlow : public FlowMethod {
 public:
  void step(FlowState& state, StepRecords& records) final;

 protected:
  GradientFlow(const MethodSetup& setup, const InteractionOptions& interaction, const DataTermOptions& data);

  const MethodSetup& setup() const { return setup_; }

 private:
  /// Where the prior's and the ensemble's scores are taken. `noise`: of its draws, whose particle is the
  /// batch's.
  virtual NoisedBatch place(const ParticleBatch& batch, const Level& level,
                            const DrawAddress& noise) const = 0;
  /// beta of the likelihood in step `step`, which is at this level.
  virtual double tempering(std::int64_t step, const Level& level) const = 0;
  /// Moves all batches of the rank against their gradients [M, c, h, w]; may be collective.
  virtual void move(FlowState& state, const std::vector<at::Tensor>& gradients) = 0;

  const MethodSetup setup_;
  const bool bayes_;
  const std::vector<Level> levels_;
  const std::unique_ptr<Interaction> interaction_;
  const DataTerm data_term_;
};

std::unique_ptr<FlowMethod> make_dwgf(const MethodSetup& setup);

}  // namespace dwgf
