/// Guided sampling: every particle is a sampler of its own, from z_T ~ N(0, I) down the grid of levels
/// (prior/noise_path.hpp) to a clean latent; particles do not act on each other. One step from t to the next
/// time of the grid, with z0 the clean estimate and z' the step of the reverse diffusion
/// (reverse_diffusion.hpp), and L the guidance's loss (latent_dps.hpp, psld.hpp):
///
///   z_next = z' - grad_{z_t} L(z0(z_t)),    grad_{z_t} L = (I - s J_eps(z_t))^T grad L(z0) / a
///
/// with the gradient through the U-Net. The last step that is taken lands on the clean latent, whatever the
/// grid. Noise (eta > 0) is that of the NOISING stream. Cost of a step and particle: 1 forward and 1 backward
/// pass of the U-Net and of the decoder; psld also of the encoder.
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

#include "flow/terms/guidance.hpp"

namespace dwgf {

/// Recorded as `data_gradient` is grad_{z_t} L, as `prior_gradient` the unguided step z' - z_t. Throws
/// UsageError where options.stall is not 0: a sampler that stops early has no result.
std::unique_ptr<FlowMethod> guided_sampling(const MethodSetup& setup, std::unique_ptr<Guidance> guidance);

}  // namespace dwgf
