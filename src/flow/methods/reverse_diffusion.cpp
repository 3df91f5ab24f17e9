#include "flow/methods/reverse_diffusion.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor clean_estimate(const at::Tensor& z_t, const at::Tensor& predicted_noise, const Level& level) {
  return at::sub(z_t, predicted_noise, level.noise) * (1.0 / level.signal);
}

double step_noise(const Level& level, const Level& next, double eta) {
  const double scale = scale_of(level);
  const double ratio = (level.signal / scale) / (next.signal / scale_of(next));
  return eta * (next.noise / level.noise) * scale * std::sqrt(std::max(0.0, 1.0 - ratio * ratio));
}

at::Tensor reverse_step(const at::Tensor& clean, const at::Tensor& predicted_noise, const Level& next,
                        double sigma, const at::Tensor& fresh) {
  const double kept = std::sqrt(std::max(0.0, next.noise * next.noise - sigma * sigma));
  const at::Tensor z = at::add(next.signal * clean, predicted_noise, kept);
  return sigma > 0.0 ? at::add(z, fresh, sigma) : z;
}

}  // namespace dwgf
