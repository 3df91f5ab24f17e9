/// A split Gibbs sampler of the posterior: at each time t, per particle,
///
///   z_t ~ N(a z, s^2 I)                                             (noise, as in the flow)
///   z   ~ p(z | z_t, y)  ~  N(z; z0, R) p(y | A(D(z))),   z0 = (z_t - s eps_theta(z_t, t)) / a
///
/// z0 is the mean of p(z | z_t) (Tweedie), R its covariance, averaged over z_t. With the exact law of z | z_t
/// in the second line, both lines leave p(z, z_t | y) as it is, at every t, so that going down the grid only
/// mixes: fast at large t, exactly at small t, where p(z | z_t) is Gaussian for any smooth prior. For a
/// Gaussian prior it is exact at all t. Seen as a step in z it is Langevin's, of size s^2 / a^2, with the
/// data taken implicitly; nothing has to be tuned to their scale. After arXiv 2407.01521 (DAPS) and arXiv
/// 2405.18782 (PnP-DM), which set R = r_t^2 I by hand.
///
/// R is taken from the ensemble, of which it needs no more than z_t = a z + s e with e independent of z: by
/// Tweedie's second formula R = (s^2 / a) dz0 / dz_t, and the mean derivative is
///
///   diagonal   tr(dz0 / dz_t) = E[e . z0] / s (Stein), less the vanishing E[e . z] / s:
///              R = r^2 I,   r^2 = (s^2 / a^2) mean over particles and entries of e (e - eps_theta)
///   full
///       the slope of z0 on z_t by least squares over the ensemble,
///           symmetrised: exact for a Gaussian prior. N > d
///
/// with eigenvalues of at least 1e-3 s^2 / a^2. This is how the particles of an image act on each other here:
/// each learns from all how far z0 can be trusted. (The second moment of z - z0 would be simpler, and is
/// wrong where particles know more than the prior does.)
///
/// The second line is sampled by optimising (Bardsley et al. 2014, doi:10.1137/140964023: exact where A(D(.))
/// is linear),
///
///   z = argmin_u |R^(-1/2) (u - c)|^2 / 2 - log p(y | a(u)) + <F^(1/2) n1, a(u)>,   a(u) = A(D(u)),
///       c = z0 + R^(1/2) n2,
///
/// n1, n2 standard normals, F the Fisher information of the noise at a(c); Gaussian noise: |a(u) - (y -
/// sigma_y n1)|^2 / (2 sigma_y^2). By `flow.data_steps` conjugate directions (Polak and Ribiere's, from c,
/// preconditioned by R), each as long as the Gauss-Newton curvature R^-1 + J^T F J along it says; J along a
/// direction from one more decoding. Costs a step and particle: 1 U-Net call, and 2 decodings and 1 decoder
/// backward for each direction.
///
/// The ensemble enters by R alone, which does not depend on N beyond its sampling error; y repeated with its
/// variance doubled changes F and the likelihood in ways that cancel.
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// Order of collectives in a step: a number a particle all-gathered (diagonal), or z_t and z0 (full). Throws
/// UsageError where `full` has too few particles, and where options.interaction.covariance is neither.
/// @pre problem.noise is there
std::unique_ptr<FlowMethod> make_gibbs(const MethodSetup& setup);

}  // namespace dwgf
