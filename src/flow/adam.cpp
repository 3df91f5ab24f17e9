#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/flow/adam.hpp>

namespace dwgf {

void Adam::move(ParticleBatch& batch, const at::Tensor& gradient, std::int64_t step) const {
  constexpr double beta1 = 0.9;
  constexpr double beta2 = 0.999;
  constexpr double eps = 1e-8;
  const double t = static_cast<double>(step + 1);
  batch.first_moment.lerp_(gradient, 1.0 - beta1);
  batch.second_moment.mul_(beta2).addcmul_(gradient, gradient, 1.0 - beta2);
  const double first_correction = 1.0 - std::pow(beta1, t);
  const double second_correction = std::sqrt(1.0 - std::pow(beta2, t));
  const at::Tensor scale =
      (batch.second_moment.sqrt() * (1.0 / second_correction)).add_(eps);  // [M, c, h, w]
  batch.z.addcdiv_(batch.first_moment, scale, -rate_ / first_correction);
}

}  // namespace dwgf
