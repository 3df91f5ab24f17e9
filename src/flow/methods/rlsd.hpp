/// Repulsive latent score distillation (Zilberstein, Mardani & Segarra, arXiv 2406.16683): every particle is
/// a latent z and an image x that are drawn to each other; x also to the measurement, z also to the prior.
/// Per particle, at time t of the grid (a, s, eps, z_t, the prior's score S and the interaction score G with
/// repulsion as in interaction.hpp), m observed entries of y, Dim of x, d of z:
///
///   g_z = J_D(z)^T (D(z) - x) / Dim + (w_t / rho) (s / a) s (G - S) / d        z <- Adam(g_z)
///   g_x = A'(x)^T (A(x) - y) / m + rho (x - D(z)) / Dim
///       x <- Adam(g_x), with z as it is now
///
/// z and x begin at N(0, I) (x: the DECODER stream of step 0); Adam's betas are 0.9 and 0.99, rates flow.lr
/// for z and flow.image_lr for x. The result is x. -s G = eps - gamma s grad log sum_j k(z^i, z^j), so that s
/// (G - S) is the authors' residual; their kernel compares DINO features of the noised, decoded particles,
/// this one the latents themselves, with the same bandwidth rule. On a canvas that is larger than the image
/// (prior/geometry.hpp), A sees the image's corner alone.
///
/// rho = 0.2, w_t = 0.1 and both rates 0.2 are those of the authors' configuration, and gamma between 10 and
/// 150 in their scripts (https://github.com/nzilberstein/Repulsive-score-distillation-RSD-,
/// constrained_sampling/_configs/algo/rsd_stable.yaml and runs/).
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// options.weight is w_t, interaction.repulsion gamma, rate that of z, and those of RlsdOptions. Recorded are
/// the misfit of x, as `data_gradient` J_D^T (D(z) - x) / Dim, and as `prior_gradient` the second term of
/// g_z.
std::unique_ptr<FlowMethod> make_rlsd(const MethodSetup& setup);

}  // namespace dwgf
