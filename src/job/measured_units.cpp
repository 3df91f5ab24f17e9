#include "job/measured_units.hpp"

#include <ATen/ATen.h>

#include "base/precondition.hpp"

namespace dwgf {

bool follows_scale(const ForwardOperator& forward) {
  return forward.is_linear() || forward.measures_image();
}

at::Tensor measured_on_scale(const at::Tensor& y, double scale, double offset, const ForwardOperator& forward,
                             const ImageShape& shape) {
  precondition(follows_scale(forward), "an operator that is linear or measures a picture");
  const at::Tensor scaled = y.to(at::kDouble) * scale;
  if (!forward.is_linear()) return (scaled + offset).to(at::kFloat);
  const at::Tensor ones = at::ones({1, shape.channels, shape.height, shape.width}, at::kDouble);
  return (scaled + forward.apply(ones).squeeze(0) * offset).to(at::kFloat);
}

}  // namespace dwgf
