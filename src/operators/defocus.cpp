#include "operators/defocus.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"
#include "operators/kernel_blur.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {

at::Tensor disc_kernel(double radius) {
  precondition(radius > 0, "a disc's radius > 0");
  const auto half = static_cast<std::int64_t>(std::ceil(radius + 0.5)) - 1;
  at::Tensor kernel = at::zeros({2 * half + 1, 2 * half + 1}, at::kDouble);
  auto weights = kernel.accessor<double, 2>();
  for (std::int64_t y = -half; y <= half; ++y) {
    for (std::int64_t x = -half; x <= half; ++x) {
      const double distance = std::hypot(static_cast<double>(y), static_cast<double>(x));
      weights[y + half][x + half] = std::clamp(radius + 0.5 - distance, 0.0, 1.0);
    }
  }
  return kernel.div_(kernel.sum());
}

std::shared_ptr<const ForwardOperator> make_defocus(const OperatorArguments& arguments,
                                                    const OperatorContext& context) {
  const double radius = arguments.number(0, "the radius");
  const Border border = parse_border(arguments, 1);
  constexpr double largest = 2047;
  if (!(radius > 0 && radius <= largest))
    arguments.refuse(formatted("the radius is {}", radius),
                     formatted("it must be above 0 and at most {} pixels", largest));
  const at::Tensor kernel = disc_kernel(radius);
  require_kernel_fits(arguments, border, kernel.size(0), kernel.size(1), context.image_shape);
  return std::make_shared<KernelBlur>(context.image_shape, kernel, border);
}

}  // namespace dwgf
