#include "operators/kernel_blur.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/fourier_filter.hpp"
#include "operators/known_operators.hpp"
#include "operators/operator_arrays.hpp"

namespace dwgf {

KernelBlur::KernelBlur(const ImageShape& shape, const at::Tensor& kernel, Border border)
    : shape_(shape), convolution_(kernel, border, shape.height, shape.width) {}

at::Tensor KernelBlur::apply(const at::Tensor& x) const {
  expect_batch(x, shape_, "an image");
  return image_by_image(x.size(0), [&](std::int64_t b) {
    return convolution_.apply(at_least_float(x.select(0, b))).to(x.scalar_type());  // [C, H, W]
  });
}

at::Tensor KernelBlur::adjoint(const at::Tensor& r) const {
  expect_batch(r, shape_, "a measurement");
  return image_by_image(r.size(0), [&](std::int64_t b) {
    return convolution_.adjoint(at_least_float(r.select(0, b))).to(r.scalar_type());  // [C, H, W]
  });
}

at::Tensor KernelBlur::trivial_inverse(const at::Tensor& y, double sigma) const {
  const at::Tensor kernel = convolution_.kernel().like(at::empty({0}, at::kDouble));
  return image_by_image(y.size(0), [&](std::int64_t b) {
    return wiener_filter(y.select(0, b), kernel, convolution_.border(), sigma);
  });
}

at::Tensor motion_kernel(std::int64_t size, double angle) {
  at::Tensor kernel = at::zeros({size, size}, at::kDouble);
  auto weights = kernel.accessor<double, 2>();
  const double half = static_cast<double>(size - 1) / 2;
  const double radians = angle * std::numbers::pi / 180;
  const double right = std::cos(radians), down = -std::sin(radians);
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = 0; j < size; ++j) {
      const double y = static_cast<double>(i) - half, x = static_cast<double>(j) - half;
      const double along = std::clamp(x * right + y * down, -half, half);
      weights[i][j] = std::max(0.0, 1 - std::hypot(x - along * right, y - along * down));
    }
  }
  return kernel.div_(kernel.sum());
}

std::shared_ptr<const ForwardOperator> make_kernel_blur(const OperatorArguments& arguments,
                                                        const OperatorContext& context) {
  const Border border = parse_border(arguments, 1);
  at::Tensor kernel = load_array(arguments, context, "kernel");
  if (kernel.dim() != 2 || kernel.size(0) % 2 == 0 || kernel.size(1) % 2 == 0) {
    arguments.refuse(formatted("the kernel has the shape {}", kernel.sizes()),
                     "it must be [height, width], both odd; add a row or a column of zeros");
  }
  require_kernel_fits(arguments, border, kernel.size(0), kernel.size(1), context.image_shape);
  return std::make_shared<KernelBlur>(context.image_shape, kernel, border);
}

std::shared_ptr<const ForwardOperator> make_motion_blur(const OperatorArguments& arguments,
                                                        const OperatorContext& context) {
  const std::int64_t size = arguments.integer(0, "size", 1);
  const double angle = arguments.number(1, "the angle");
  const Border border = parse_border(arguments, 2);
  if (size % 2 == 0)
    arguments.refuse(formatted("size {} is even", size), "a kernel with a centre needs an odd size");
  constexpr std::int64_t longest = 4095;
  if (size > longest)
    arguments.refuse(formatted("size is {}", size), formatted("it can be {} at most", longest));
  require_kernel_fits(arguments, border, size, size, context.image_shape);
  return std::make_shared<KernelBlur>(context.image_shape, motion_kernel(size, angle), border);
}

}  // namespace dwgf
