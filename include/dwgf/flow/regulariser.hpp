/// The diffusion regulariser's gradient, per particle: g_R = w_t (s / a) s (G - S) / d with the interaction
/// score G, the prior's score S = -eps_theta(z_t, t) / s and d = entries of one latent (arXiv 2509.19276). No
/// gradient passes through the U-Net.
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/flow/interaction.hpp>

namespace dwgf {

/// @param interaction      G [M, c, h, w]
/// @param predicted_noise  eps_theta(z_t, t) [M, c, h, w]
at::Tensor regulariser_gradient(const at::Tensor& interaction, const at::Tensor& predicted_noise,
                                const NoisedBatch& noised, double weight);

}  // namespace dwgf
