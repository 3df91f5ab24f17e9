// Gaussian blur: y_p = sum_d k_d x_(p + d), the correlation with a size x size kernel,
//
//     k_d = exp(-|d|^2 / (2 std^2)) / sum_d exp(...),   |d_row|, |d_column| <= (size - 1) / 2.
//
// Border: `reflect` (the default; the edge pixel is not repeated), `zero` (the edges darken) or `circular`.
// k is a product of 1-D kernels, and so is the border rule: the operator is separable and its adjoint exact.
// The trivial inverse is the Wiener filter (fourier_filter.hpp).
//
// `blur:size,std[,border]`, size odd, std in pixels > 0. Throws UsageError, also where the border would need
// pixels beyond the image: (size - 1) / 2 is below height and width for reflect, at most these for circular;
// zero takes any size up to 65,535.
#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/border.hpp"
#include "operators/fourier_filter.hpp"
#include "operators/known_operators.hpp"
#include "operators/separable.hpp"

namespace dwgf {
namespace {

std::vector<double> gaussian_kernel(std::int64_t size, double std) {
  std::vector<double> kernel(static_cast<std::size_t>(size));
  double sum = 0;
  for (std::int64_t d = 0; d < size; ++d) {
    const double offset = static_cast<double>(d) - static_cast<double>(size - 1) / 2;
    kernel[d] = std::exp(-offset * offset / (2 * std * std));
    sum += kernel[d];
  }
  for (double& weight : kernel) weight /= sum;
  return kernel;
}

/// Correlation of n samples with the kernel under a border rule, [n, n].
at::Tensor correlation_matrix(const std::vector<double>& kernel, std::int64_t n, Border border) {
  at::Tensor matrix = at::zeros({n, n}, at::kDouble);
  auto weights = matrix.accessor<double, 2>();
  const std::int64_t size = static_cast<std::int64_t>(kernel.size()), half = size / 2;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < size; ++d) {
      std::int64_t j = i + d - half;
      if (border == Border::circular) j = (j + n) % n;
      if (border == Border::reflect && j < 0) j = -j;
      if (border == Border::reflect && j >= n) j = 2 * (n - 1) - j;
      if (j >= 0 && j < n) weights[i][j] += kernel[d];
    }
  }
  return matrix;
}

class GaussianBlur final : public SeparableOperator {
 public:
  GaussianBlur(const ImageShape& shape, const std::vector<double>& kernel, Border border)
      : SeparableOperator(shape, correlation_matrix(kernel, shape.height, border),
                          correlation_matrix(kernel, shape.width, border)),
        profile_(at::tensor(at::ArrayRef<double>(kernel), at::kDouble)),
        border_(border) {}

  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override {
    const at::Tensor kernel = at::outer(profile_, profile_);
    return image_by_image(y.size(0), [&](std::int64_t b) {
      return wiener_filter(y.select(0, b), kernel, border_, sigma);  // [C, H, W]
    });
  }
  std::string trivial_inverse_name() const override { return "Wiener filter"; }

 private:
  at::Tensor profile_;  // [size]
  Border border_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_gaussian_blur(const OperatorArguments& arguments,
                                                          const OperatorContext& context) {
  const ImageShape& shape = context.image_shape;
  const std::int64_t size = arguments.integer(0, "size", 1);
  const double std = arguments.number(1, "std");
  const Border border = parse_border(arguments, 2);
  if (size % 2 == 0)
    arguments.refuse(formatted("size {} is even", size), "a kernel with a centre needs an odd size");
  if (!(std > 0)) arguments.refuse(formatted("std is {}", std), "it must be above 0 (in pixels)");

  require_kernel_fits(arguments, border, size, size, shape);
  return std::make_shared<GaussianBlur>(shape, gaussian_kernel(size, std), border);
}

}  // namespace dwgf
