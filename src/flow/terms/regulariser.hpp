/// The diffusion regulariser's gradient, per particle: g_R = w_t (s / a) s (G - S) / d with the interaction
/// score G, the prior's score S = -eps_theta(z_t, t) / s and d = entries of one latent (arXiv 2509.19276). No
/// gradient passes through the U-Net.
#pragma once

#include <ATen/core/Tensor.h>

#include "flow/terms/interaction.hpp"

namespace dwgf {

/// @param interaction      G [M, c, h, w]
/// @param predicted_noise  eps_theta(z_t, t) [M, c, h, w]
at::Tensor regulariser_gradient(const at::Tensor& interaction, const at::Tensor& predicted_noise,
                                const NoisedBatch& noised, double weight);

/// The same for `objective = bayes`, g_R = w k (G - S): the gradient in z of KL(mu_t || p_t), mu_t the law of
/// z_t, where k = a is the inner derivative of z_t = a z + s eps. It tends to 1 with t; w = 1 is the
/// posterior.
///
/// @param prior_noise  s of the time that eps_theta was asked about; S = -eps_theta / prior_noise
at::Tensor bayes_regulariser_gradient(const at::Tensor& interaction, const at::Tensor& predicted_noise,
                                      const NoisedBatch& noised, double prior_noise, double weight);

}  // namespace dwgf
