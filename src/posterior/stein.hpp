/// How far the particles are from the posterior that the prior's own score and the likelihood describe,
/// without knowing the truth: a kernel Stein discrepancy in latent space (Liu, Lee, Jordan, arXiv 1602.03253;
/// for diffusion solvers arXiv 2602.04189, whose kernel and scaling were not at hand: those below are this
/// program's).
///
///   score
///       s(z) = a S(a z, t) + J_D(z)^T A'^T (y - A(D(z))) / sigma^2,  S = -eps_theta / s_t,
///           at the smallest time t = 1
///   kernel    k(z, z') = (1 + |z - z'|^2 / h^2)^(-1/2),  h^2 the mean of |z^i - z^j|^2 over pairs
///   u(z, z')  = s.s' k + s.grad' k + s'.grad k + tr grad grad' k
///   result
///       the mean of u(z^i, z^j) over pairs i != j,
///           divided by d: 0 on average for independent samples of the posterior, above
///             it for others; it scatters about 0 and may be negative
///   scale
///       a degenerate U-statistic whose distribution for exact samples is that of the mean of
///           w_i w_j u(z^i, z^j) with independent random signs w, as N grows (a wild bootstrap; Chwialkowski,
///             Strathmann, Gretton, arXiv 1602.02964); p = (1 + how many of 499 such are as large) / 500: on
///               (0, 1] evenly for samples of the posterior, near 0 for others
#pragma once

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/state.hpp>

#include "flow/terms/data_term.hpp"

namespace dwgf {

struct SteinDiscrepancy {
  double value = 0.0;
  double p = 1.0;
};

/// Collective over `group`, whose ranks hold the particles of `state`; the same bits on every layout. One
/// call of the U-Net and of the decoder's gradient a micro-batch; memory 2 N d and 500 N values. NaN for one
/// particle. The signs are addressed by the image and the particle.
/// @pre sigma > 0, Gaussian noise
SteinDiscrepancy stein_discrepancy(const Problem& problem, const FlowState& state, double sigma,
                                   Collective& group);

}  // namespace dwgf
