/// Convolution with a kernel through the Fourier domain, and its Wiener inverse: time N log N and memory
/// linear in the image whatever the kernel's size.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "operators/border.hpp"
#include "operators/made_once.hpp"
#include "operators/typed_constant.hpp"

namespace dwgf {

/// y_p = sum_d k_d x_(p - d) on x [C, H, W] continued as `border` says; k [h, w] of odd sizes, d counted from
/// its centre. In x's dtype, which is float32 or float64. The kernel's spectrum is made once.
class FourierConvolution {
 public:
  /// For images of H x W.
  FourierConvolution(const at::Tensor& kernel, Border border, std::int64_t height, std::int64_t width);

  at::Tensor apply(const at::Tensor& x) const;
  at::Tensor adjoint(const at::Tensor& r) const;
  const TypedConstant& kernel() const { return kernel_; }
  Border border() const { return border_; }

 private:
  const at::Tensor& spectrum(const at::Tensor& like) const;

  TypedConstant kernel_;                          // [h, w]
  std::int64_t rows_, columns_, height_, width_;  // half of the kernel's; with what continues the image
  Border border_;
  MadeOnce<at::Tensor> spectrum_;  // [height, width / 2 + 1]
};

/// The Wiener filter of a flat signal spectrum,
///
///     X = conj(K) Y / (|K|^2 + sigma^2 / v),   v = max(variance of y - sigma^2, sigma^2 / 100),
///
/// with 1e-6 as the least ratio, on y less its mean, which is divided by sum k. y [C, H, W] is continued as
/// an even function where the border is `reflect`, by zeros where it is `zero`.
at::Tensor wiener_filter(const at::Tensor& y, const at::Tensor& kernel, Border border, double sigma);

}  // namespace dwgf
