/// A few steps of denoising, each corrected by what the measurement says of the error that the denoiser
/// leaves: one call of the denoiser and one decoding a step and particle, no encoder, no derivative of a
/// network. At the k-th level (a, s) of K, evenly in log(s / a):
///
///   z0 = (z_t - s eps_theta(z_t)) / a,   x = D(z0) on [-1, 1]
///   (dz, dx) = J A'^T (A' J A'^T + R)^-1 (y - A(x))                        (terms/kalman_gain.hpp)
///   k < K:   z_t' = a' (z0 + omega dz) + nu s' n,   n ~ N(0, I), at the next level
///   k = K:   the latent z0 + dz, the image x + dx on [-1, 1]
///
/// J is the joint covariance of what the denoiser and the autoencoder leave open, of latents and pixels,
/// measured once per prior and level (prior/moments.hpp) and taken at a level that is `lag` noisier, as the
/// state is further from the truth than a noised image is. R is the noise's variance. Where A is not linear,
/// a few Gauss-Newton steps about x, without a network, which count what A' did not foresee of the last of
/// them as noise: of operators that round, A' knows nothing of the rounding. It begins at
///
///   z_t = a zc + s n,   (zc, xc) = m + the correction of m by the prior's own mean m and covariance
///
/// With `sampled`, the line of the correction is a draw in place of a mean (perturb and condition): d ~ N(0,
/// J), (dz, dx) = d + J A'^T (A' J A'^T + R)^-1 (y + R^(1/2) n - A(x + d_x)). With omega = nu = 1, lag = 0
/// and every step sampled this alternates z | z_t, y and z_t | z, exact at any level where prior and noise
/// are Gaussian and A D linear.
///
/// That the encoder is no way back from a corrected image to a latent, and that a gain of measured moments
/// is, was found by trying both. omega = 1.8, nu = 0.7, the lag and the levels were chosen on tuning images
/// (configs/README.md), with times t of Stable Diffusion's schedule as the measure of noise: K >= 8 levels go
/// from t = 850 to 40, 4 from 700 to 60. Where latents are images of any size, the last level is the cleanest
/// that the moments were measured at, and the lag counts hundredths of log(s / a): no autoencoder sets a
/// limit to what is worth removing.
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// Recorded are the misfit of x (of the result in the last step), as `data_gradient` dz, and as
/// `prior_gradient` z0 less the last step's. No collectives of its own. Throws UsageError where the prior
/// has no moments, or where options.stall is not 0: a sampler that stops early has no result.
/// @pre the problem has noise of a level above 0
std::unique_ptr<FlowMethod> make_kalman(const MethodSetup& setup);

}  // namespace dwgf
