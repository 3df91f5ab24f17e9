/// Blur with any kernel: y_p = sum_d k_d x_(p - d), the convolution in which a bright point becomes an image
/// of the kernel. k has odd sizes, d counts from its centre, and is used as it stands: one that sums to 1
/// keeps the brightness. Border: see border.hpp. Adjoint: the correlation, folded back at the border. The
/// trivial inverse is the Wiener filter (fourier_filter.hpp).
///
/// `kernel:FILE[,border]`: k [h, w] from a .npy file, or `@`.
///
/// `motion:size,angle[,border]`: straight motion over `size` pixels (odd) at `angle` degrees,
/// counter-clockwise from the right: on the size x size square, with s the segment of length size - 1 through
/// the centre,
///
///     k_d = max(0, 1 - distance(d, s)) / sum.
#pragma once

#include "operators/border.hpp"
#include "operators/fourier_filter.hpp"

namespace dwgf {

class KernelBlur : public LinearOperator {
 public:
  /// kernel: [h, w], odd sizes that the border takes (require_kernel_fits)
  KernelBlur(const ImageShape& shape, const at::Tensor& kernel, Border border);

  at::Tensor apply(const at::Tensor& x) const override;
  at::Tensor adjoint(const at::Tensor& r) const override;
  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, shape_.height, shape_.width};
  }
  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override;
  std::string trivial_inverse_name() const override { return "Wiener filter"; }

 private:
  ImageShape shape_;
  FourierConvolution convolution_;
};

/// The motion kernel above, [size, size], float64.
at::Tensor motion_kernel(std::int64_t size, double angle);

}  // namespace dwgf
