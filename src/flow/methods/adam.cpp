#include "flow/methods/adam.hpp"

#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

void Adam::move(ParticleBatch& batch, const at::Tensor& gradient, std::int64_t step) const {
  move(batch.z, batch.first_moment, batch.second_moment, gradient, step);
}

void Adam::move_images(ParticleBatch& batch, const at::Tensor& gradient, std::int64_t step) const {
  move(batch.image, batch.image_first_moment, batch.image_second_moment, gradient, step);
}

void Adam::move(at::Tensor& value, at::Tensor& first_moment, at::Tensor& second_moment,
                const at::Tensor& gradient, std::int64_t step) const {
  constexpr double beta1 = 0.9;
  constexpr double eps = 1e-8;
  const double t = static_cast<double>(step + 1);
  first_moment.lerp_(gradient, 1.0 - beta1);
  second_moment.mul_(second_beta_).addcmul_(gradient, gradient, 1.0 - second_beta_);
  const double first_correction = 1.0 - std::pow(beta1, t);
  const double second_correction = std::sqrt(1.0 - std::pow(second_beta_, t));
  const at::Tensor scale = (second_moment.sqrt() * (1.0 / second_correction)).add_(eps);  // [M, ...]
  value.addcdiv_(first_moment, scale, -rate_ / first_correction);
}

}  // namespace dwgf
