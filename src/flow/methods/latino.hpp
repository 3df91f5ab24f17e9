/// LATINO (Spagnoletti et al., arXiv 2503.12615; https://github.com/LATINO-PRO/LATINO-PRO): a Langevin step
/// on images that is split between a denoiser of few steps and the measurement, without any derivative of a
/// network. At time t_k of K, (a, s) its level, c^2 = a^2 + s^2 (1 on the authors' path):
///
///   z0 = (z_t - s eps_theta(z_t)) / a,   x = D(z0) on [-1, 1]
///   x+ = argmin_u -log p(y | A u) + |u - x|^2 / (2 rho^2),   rho^2 = delta s^2/c^2  (terms/proximal.hpp)
///   z+ = E(x+ on [-1, 1])                                                           the encoder's mean
///   z_t' = a' z+ + s' n,   n ~ N(0, I), at the next level;   the last z+ is the result
///
/// from z_t = a E(A^T y on [-1, 1]) + s n. A call of the denoiser, a decoding and an encoding a step.
///
/// The authors' times are 999, 874, ..., 124 of Stable Diffusion's 1,000 for K = 8: t_k = 1000 (K - k) / K -
/// 1, k = 0, 1, ...; other noise paths take the levels that are as noisy. Their prior was distilled to few
/// steps (DMD2, LCM), so that z0 is a likely latent and no mean; any denoiser goes here.
///
/// `delta = published`: the authors chose delta a task, with |r| = |A x - y| as a norm:
///
///   | their task | above | below | t |
///   | an inpainted box | 1 | 0.5 | 500 |
///   | super-resolution x16, y of 3 x 64 x 64 | 0.3 abs(r) | 0.2 abs(r) | 300 |
///   | a Gaussian blur, 3 x 1024 x 1024 | 5e-4 abs(r) | 2e-4 abs(r) | 400 |
///
/// Which row a problem takes is ours: the first where entries are not observed, the second where y has fewer
/// entries than the image, else the third, with |r| as if y had as many entries as theirs.
/// `delta = measured` is ours: rho^2 is the mean square error of pixels at the level, from the prior's
/// moments, which knows neither task nor residual.
///
/// Ours as well: operators that are not linear and noise that is not Gaussian (the authors' have neither), a
/// canvas larger than the image, of which the measurement moves the image alone.
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// Recorded are the misfit of x, as `data_gradient` z+ - z0, and as `prior_gradient` z0 less the last step's.
/// No collectives of its own. Throws UsageError where delta is measured and the prior has no moments, or
/// where options.stall is not 0: a sampler that stops early has no result.
/// @pre the problem has noise of a level above 0
std::unique_ptr<FlowMethod> make_latino(const MethodSetup& setup);

}  // namespace dwgf
