/// One step of the reverse diffusion from noise level t to the next lower one t' (DDIM, arXiv 2010.02502,
/// equation 12). With (a, s) at t, (a', s') at t', eps^ the predicted noise:
///
///   z0    = (z_t - s eps^) / a                                  (Tweedie's estimate of the clean latent)
///   sigma = eta (s' / s) sqrt(s^2 - (a s' / a')^2)              (1 - (a / a')^2 where a^2 + s^2 = 1)
///   z_t'  = a' z0 + sqrt(s'^2 - sigma^2) eps^ + sigma n,        n ~ N(0, I)
///
/// eta = 0 takes no noise; eta = 1 is the step of DDPM (arXiv 2006.11239). a' = 1 lands on the clean latent.
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

/// z0 [M, c, h, w]
at::Tensor clean_estimate(const at::Tensor& z_t, const at::Tensor& predicted_noise, const Level& level);

/// sigma
double step_noise(const Level& level, const Level& next, double eta);

/// z_t' [M, c, h, w]; `fresh` is n, which is not looked at where sigma is 0.
at::Tensor reverse_step(const at::Tensor& clean, const at::Tensor& predicted_noise, const Level& next,
                        double sigma, const at::Tensor& fresh);

}  // namespace dwgf
