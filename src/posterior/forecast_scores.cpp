#include "posterior/forecast_scores.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "base/precondition.hpp"

namespace dwgf {

namespace {

/// The integral of Phi^2 up to z.
double squared_normal_integral(double z) {
  const double below = 0.5 * std::erfc(-z * M_SQRT1_2),
               density = std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI);
  return z * below * below + 2 * below * density - 0.5 * std::erfc(-z) / std::sqrt(M_PI);
}

/// Rows as doubles on the scale, [n, d].
at::Tensor on_scale(const at::Tensor& images, std::int64_t rows) {
  return images.to(at::kDouble).clamp(-1, 1).reshape({rows, -1});
}

}  // namespace

double gaussian_crps(double mean, double deviation, double truth) {
  precondition(deviation >= 0, "a standard deviation >= 0");
  const double y = std::clamp(truth, -1.0, 1.0);
  if (deviation == 0) return std::abs(std::clamp(mean, -1.0, 1.0) - y);
  const auto integral = [&](double a, double b) { return squared_normal_integral((a - b) / deviation); };
  const double score = integral(y, mean) - integral(-1, mean) + integral(mean, y) - integral(mean, 1);
  return std::max(0.0, deviation * score);
}

double energy_score(const at::Tensor& particles, const at::Tensor& truth) {
  const std::int64_t n = particles.size(0);
  precondition(n >= 1, "the energy score of an ensemble");
  const at::Tensor x = on_scale(particles, n);  // [N, d]
  const double distance = (x - on_scale(truth, 1)).square().sum(1).sqrt().mean().item<double>();
  const std::int64_t paired = std::min(n, kMostPaired);
  at::Tensor some = x;
  if (paired < n) some = x.index_select(0, at::floor_divide(at::arange(paired) * n, paired));  // [paired, d]
  double pairs = 0.0;
  for (std::int64_t i = 0; i + 1 < paired; ++i)
    pairs += (some.slice(0, i + 1) - some[i]).square().sum(1).sqrt().sum().item<double>();
  const auto all = static_cast<double>(n), used = static_cast<double>(paired);
  const double apart = paired > 1 ? 2 * pairs / (used * (used - 1)) : 0.0;
  return (distance - 0.5 * (all - 1) / all * apart) / std::sqrt(static_cast<double>(x.size(1)));
}

}  // namespace dwgf
