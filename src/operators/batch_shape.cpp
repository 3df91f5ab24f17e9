#include "operators/batch_shape.hpp"

#include <array>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"

namespace dwgf {

void expect_batch(const at::Tensor& tensor, at::IntArrayRef shape, const char* what) {
  const bool fits =
      tensor.dim() == static_cast<std::int64_t>(shape.size()) + 1 && tensor.sizes().slice(1) == shape;
  if (!fits)
    throw InternalError("{} of shape {} where a batch of {} is expected", what, tensor.sizes(), shape);
}

void expect_batch(const at::Tensor& x, const ImageShape& shape, const char* what) {
  expect_batch(x, std::array{shape.channels, shape.height, shape.width}, what);
}

at::Tensor image_by_image(std::int64_t count, const std::function<at::Tensor(std::int64_t)>& one) {
  precondition(count >= 1, "at least one image");
  if (count == 1) return one(0).unsqueeze(0);
  std::vector<at::Tensor> images;
  images.reserve(static_cast<std::size_t>(count));
  for (std::int64_t b = 0; b < count; ++b) images.push_back(one(b));
  return at::stack(images);
}

at::Tensor at_least_float(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

}  // namespace dwgf
