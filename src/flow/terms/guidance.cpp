#include "flow/terms/guidance.hpp"

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor unit_vectors(const at::Tensor& v) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(v.dim()), 1);
  shape[0] = v.size(0);
  const at::Tensor square = v.flatten(1).square().sum(1).view(shape);  // [M, 1, ...]
  return v * at::where(square > 0.0, square.rsqrt(), at::zeros_like(square));
}

}  // namespace dwgf
