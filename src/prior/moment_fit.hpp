/// Measured second moments -> the parts that a file of moments keeps (JointMoments).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "prior/moment_sums.hpp"
#include "prior/moments.hpp"

namespace dwgf {

struct MomentFit {
  std::int64_t rank = 256;  ///< eigenvectors kept of a full moment
  double mix = 0.3;         ///< share of a full moment that its eigenvectors do not get
  std::int64_t radius = 8;  ///< of kernels, at most [latent pixels]
  double dropped = 1e-3;    ///< share of the variance that kernels may lose to smaller radii, fewer channels
};

/// (1 - mix) J by its leading eigenvectors, and what they leave by its shift-invariant correlations with its
/// own variances:
///
///   F = sqrt(1 - mix) V sqrt(lambda),   L = J - F F^T,   G = sqrt(diag L),
///   R = convolution_root(shift_average(L))
///
/// v holds what the diagonal lacks then, so that every variance is J's, but for the rounding of F, G and R to
/// float16, which v makes up for where it can. Where F leaves less than `dropped` there are no G and R.
/// @pre J [Q h w, Q h w] symmetric float64
JointMoments fit_full(const at::Tensor& second, const MomentShape& shape, const MomentFit& fit);

/// R = convolution_root of S scaled by S's standard deviations, v [Q, 1, 1] what its channels leave.
JointMoments fit_shift_invariant(const OffsetMoments& moments, const MomentFit& fit);

}  // namespace dwgf
