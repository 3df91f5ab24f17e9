/// A convolution whose output has given shift-invariant moments when its input is white:
///
///   x(p) = sum_u R(u) n(p + u),     E[x(p) x(p + delta)^T] ~= S(delta)     (conv2d of LibTorch)
///
/// S, known at |delta| <= e, is laid on a torus of 2 (e + 1) places a side, tapered to zero at e + 1 by a
/// cosine over the outer half, and transformed; where a frequency's Hermitian block is not positive
/// semi-definite (S is estimated, and tapered), its negative eigenvalues become zero. R is the symmetric root
/// of every block, back in space and cut to a square kernel. Rows are then scaled so that the variances are
/// those of S(0).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "prior/moment_sums.hpp"

namespace dwgf {

struct ConvolutionRoot {
  at::Tensor kernel;     ///< R [Q, K, k, k] float64, of the correlations: to be scaled by standard deviations
  at::Tensor explained;  ///< the share of every variance that the K channels hold [Q], at most 1
};

/// The root of S's correlations. The white channels are those of the eigenvectors of S(0)'s correlations; the
/// last ones, which together hold less than `dropped` of the variance, are left out. k = 2 r + 1 with r the
/// smallest radius, at most `radius`, outside of which lies less than `dropped` of the kernel's energy.
/// @pre 0 <= dropped < 1, radius >= 0
ConvolutionRoot convolution_root(const OffsetMoments& moments, std::int64_t radius, double dropped);

}  // namespace dwgf
