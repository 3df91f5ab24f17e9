#include "flow/terms/conjugate_gradients.hpp"

#include <vector>

#include <ATen/ATen.h>

namespace dwgf {

namespace {

/// <p, q> of every sample, float64 [B].
at::Tensor dot_products(const at::Tensor& p, const at::Tensor& q) {
  return (p.to(at::kDouble) * q.to(at::kDouble)).flatten(1).sum(1);
}

}  // namespace

at::Tensor per_sample(const at::Tensor& numbers, const at::Tensor& values) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(values.dim()), 1);
  shape[0] = -1;
  return numbers.view(shape).to(values.scalar_type());
}

at::Tensor solve_by_conjugate_gradients(const std::function<at::Tensor(const at::Tensor& u)>& gram,
                                        const at::Tensor& right, const at::Tensor& variance,
                                        std::int64_t iterations) {
  constexpr double kTiny = 1e-30;
  at::Tensor u = at::zeros_like(right), left = right;  // left = r - (G + R) u
  at::Tensor scaled = left / variance, direction = scaled;
  at::Tensor length = dot_products(left, scaled);  // [B]
  for (std::int64_t k = 0; k < iterations; ++k) {
    const at::Tensor product = gram(direction) + variance * direction;
    const at::Tensor step = length / dot_products(direction, product).clamp_min(kTiny);
    u = u + per_sample(step, u) * direction;
    left = left - per_sample(step, left) * product;
    scaled = left / variance;
    const at::Tensor next = dot_products(left, scaled);
    direction = scaled + per_sample(next / length.clamp_min(kTiny), direction) * direction;
    length = next;
  }
  return u;
}

}  // namespace dwgf
