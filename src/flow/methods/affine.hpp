/// The Wasserstein gradient flow of KL(mu || posterior), preconditioned by the ensemble's own covariance C (m
/// its mean):
///
///   dz^i / dtau = -C g^i,   g^i = grad Phi(z^i) + G(z^i),   Phi = -log p(y | z) - log p(z),
///       G = grad log mu
///
/// It is affine invariant (Garbuno-Inigo, Nuesken, Reich 2020, arXiv 1912.02859): a linear change of the
/// latents changes nothing, so no scale has to be tuned. For a Gaussian posterior N(m*, H^-1) and G of the
/// gaussian interaction (full covariance) m' = -C H (m - m*), (C^-1)' = 2 (H - C^-1): every direction forgets
/// where it began at the rates 1 and 2, whatever the condition of H, and it rests exactly at m = m*, C =
/// H^-1, for every N > d. With a diagonal C it would rest elsewhere, and noise in z_t would add to H^-1; so
/// the scores are taken at the particles themselves.
///
/// The step is exact in what is linear, for precisions that differ by any factor. In coordinates where C = I,
/// least squares over the ensemble splits g^i = gbar + B z^i + e^i (B symmetrised); the precision moves by
/// tau B, the mean against it, and the rest explicitly:
///
///   P = (I + tau B)^-1,   z^i <- P^(1/2) z^i - tau P (gbar + e^i)
///       |tau P e^i| at most sqrt(d), the ensemble's own size
///
/// With B = H - I this is (1 - tau) I + tau H, positive for tau < 1 however large H is, and at rest for every
/// tau. Eigenvalues of I + tau B are kept at 1 - tau or above, where Phi is not convex.
///
/// The way there (in place of noised particles): at time t of the grid the target is p_t(z) p(y | z)^beta_t,
/// p_t the prior's law of z_t, beta_t = v / (v + s^2), v the noise's variance: from N(0, I), where the
/// particles start, to the posterior; the network sees what it was trained on. (Where a path does not
/// preserve variance the law is that of z_t / c, s stands for s / c, and scores are taken at c z: scale_of in
/// prior/noise_path.hpp.) At the last time, t = 1, beta = 1; the prior is that of z_1, whose variance differs
/// from the prior's by at most 1 - abar_1 (0.0017 for Stable Diffusion's schedule).
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// Collective in a step, beside the interaction's: all-gathers positions and gradients. N d^2 multiply-adds
/// on every rank, which all compute the same. Takes the ensemble's score from `gaussian` with the full
/// covariance and the objective `bayes`, whatever the options say. Throws UsageError where a latent has N
/// entries or more.
/// @pre options.rate, tau, is above 0 and below 1; problem.noise is there
std::unique_ptr<FlowMethod> make_affine(const MethodSetup& setup);

/// z^i <- the step above for all rows of z and g [N, d]; in the type of z.
at::Tensor affine_step(const at::Tensor& z, const at::Tensor& g, double step);

}  // namespace dwgf
