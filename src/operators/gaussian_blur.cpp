#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/operators/gaussian_blur.hpp>
#include <dwgf/operators/separable.hpp>

namespace dwgf {
namespace {

enum class Border { reflect, zero, circular };

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

Border parse_border(const OperatorArguments& arguments) {
  if (arguments.count() < 3) return Border::reflect;
  const std::string& name = arguments.text(2);
  if (name == "reflect") return Border::reflect;
  if (name == "zero") return Border::zero;
  if (name == "circular") return Border::circular;
  const std::string nearest = nearest_name(name, {"reflect", "zero", "circular"});
  arguments.refuse("unknown border '" + name + "'" + (nearest.empty() ? "" : " (nearest: '" + nearest + "')"),
                   "choose reflect, zero or circular");
}

}  // namespace

std::shared_ptr<const ForwardOperator> make_gaussian_blur(const OperatorArguments& arguments,
                                                          const OperatorContext& context) {
  const ImageShape& shape = context.image_shape;
  const std::int64_t size = arguments.integer(0, "size", 1);
  const double std = arguments.number(1, "std");
  const Border border = parse_border(arguments);
  if (size % 2 == 0)
    arguments.refuse(concat("size ", size, " is even"), "a kernel with a centre needs an odd size");
  if (!(std > 0)) arguments.refuse(concat("std is ", std), "it must be above 0 (in pixels)");

  const std::int64_t smaller = std::min(shape.height, shape.width);
  // A zero border needs no pixel outside; its bound only keeps a mistyped size from filling the memory.
  constexpr std::int64_t any = 65535;
  const std::int64_t most =
      border == Border::zero ? any : (border == Border::reflect ? 2 * smaller - 1 : 2 * smaller + 1);
  if (size > most) {
    arguments.refuse(concat("a kernel of size ", size, " is too large for an image of ", to_text(shape),
                            " with this border"),
                     concat("size can be ", most, " at most"));
  }
  const std::vector<double> kernel = gaussian_kernel(size, std);
  return std::make_shared<SeparableOperator>(shape, correlation_matrix(kernel, shape.height, border),
                                             correlation_matrix(kernel, shape.width, border));
}

}  // namespace dwgf
