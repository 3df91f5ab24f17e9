/// The kernel k of a blur that a spec leaves open (operators/open_blur.hpp), from the particles' images. With
/// what follows the blur linear, y = P k + noise, the columns of P the shifted images u = before(x):
///
///   E(k) = mean_i |y - P^i k|^2 / (2 m) = k^T H k / 2 - b^T k + c,   H = mean_i P^iT P^i / m,
///                                                                    b = mean_i P^iT y / m
///
/// over the observed entries. H and b are all that the particles add, whatever is asked of k:
///
///   kernel     argmin E on the simplex k >= 0, sum k = 1: exact (simplex_least_squares.hpp), with
///                smooth    w v |differences of k to its four neighbours|^2 / 2, zeros around the square
///                sparse    w v sum_j log(k_j + 1 / n) / n, by its tangent at the present k
///              v the variance of u (the mean diagonal of H less its mean), n entries
///   others     argmin E(k(theta)) within bounds: the best of a grid, then Gauss-Newton steps, and over
///              kinks steps along the axes
///
/// Where particles fit y closely by a wrong kernel, they only confirm it. So the method's likelihood is
/// tempered (tempering.hpp) as if the noise fell from a deviation of 3 to its own, evenly in its logarithm,
/// over the first 0.8 of the steps: a coarse kernel first, then its detail.
///
/// Noise whose variance differs from entry to entry (poisson) weighs the entries by its information at the
/// particle's own estimate.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/unknown.hpp>

#include "operators/open_blur.hpp"

namespace dwgf {

std::shared_ptr<const Unknown> make_unknown_blur(OpenBlur open);

/// E of a kernel and its derivative, from H [n, n] and b [n].
struct KernelMisfit {
  at::Tensor h, b;

  double of(const at::Tensor& kernel) const;
  at::Tensor gradient(const at::Tensor& kernel) const;  ///< H k - b [n]
};

/// The derivatives of a parametric kernel, [unknown parameters, n]: differences over 1e-5 of the parameter's
/// range.
at::Tensor kernel_derivatives(const BlurShape& blur, const std::vector<double>& parameters);

}  // namespace dwgf
