/// Convolution with a kernel through the Fourier domain, and its Wiener inverse: time N log N and memory
/// linear in the image whatever the kernel's size.
#pragma once

#include <ATen/core/Tensor.h>

#include "operators/border.hpp"

namespace dwgf {

/// y_p = sum_d k_d x_(p - d) on x [C, H, W] continued as `border` says; k [h, w] of odd sizes, d counted from
/// its centre. In x's dtype, which is float32 or float64.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& kernel, Border border);

/// The adjoint of `convolve`.
at::Tensor convolve_adjoint(const at::Tensor& r, const at::Tensor& kernel, Border border);

/// The Wiener filter of a flat signal spectrum,
///
///     X = conj(K) Y / (|K|^2 + sigma^2 / v),   v = max(variance of y - sigma^2, sigma^2 / 100),
///
/// with 1e-6 as the least ratio, on y less its mean, which is divided by sum k. y [C, H, W] is continued as
/// an even function where the border is `reflect`, by zeros where it is `zero`.
at::Tensor wiener_filter(const at::Tensor& y, const at::Tensor& kernel, Border border, double sigma);

}  // namespace dwgf
