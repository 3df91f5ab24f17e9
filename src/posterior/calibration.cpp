#include "posterior/calibration.hpp"

#include <algorithm>
#include <cmath>

#include "base/precondition.hpp"

namespace dwgf {

namespace {

double position(std::int64_t particles, double p) {
  const auto n = static_cast<double>(particles);
  return std::clamp(p * (n + 1.0), 1.0, n);
}

double on_scale(double value) {
  return std::clamp(value, -1.0, 1.0);
}

}  // namespace

double ensemble_quantile(std::span<const float> sorted, double p) {
  precondition(!sorted.empty() && p > 0.0 && p < 1.0, "a quantile of an ensemble, 0 < p < 1");
  const double at = position(static_cast<std::int64_t>(sorted.size()), p);
  const auto below = static_cast<std::size_t>(at);  // from 1
  const double low = sorted[below - 1];
  if (below == sorted.size()) return low;
  return low + (at - static_cast<double>(below)) * (static_cast<double>(sorted[below]) - low);
}

double attainable_level(std::int64_t particles, double lower, double upper) {
  return (position(particles, upper) - position(particles, lower)) / static_cast<double>(particles + 1);
}

double mean_pair_difference(std::span<const float> sorted) {
  precondition(!sorted.empty(), "differences in an ensemble");
  const auto n = static_cast<double>(sorted.size());
  if (sorted.size() < 2) return 0.0;
  // Of the pairs, x_k is the larger one k - 1 times and the smaller one N - k times.
  double sum = 0.0;
  for (std::size_t k = 0; k < sorted.size(); ++k)
    sum += (2.0 * static_cast<double>(k + 1) - n - 1.0) * static_cast<double>(sorted[k]);
  return std::max(0.0, 2.0 * sum / (n * (n - 1.0)));
}

double ensemble_crps(std::span<const float> sorted, double truth) {
  precondition(!sorted.empty(), "the CRPS of an ensemble");
  const auto n = static_cast<double>(sorted.size());
  const double y = on_scale(truth);
  double distance = 0.0, pairs = 0.0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    const double x = on_scale(static_cast<double>(sorted[k]));
    distance += std::abs(x - y);
    pairs += (2.0 * static_cast<double>(k + 1) - n - 1.0) * x;  // half of sum_ij |x_i - x_j|
  }
  return std::max(0.0, distance / n - pairs / (n * n));
}

double normal_quantile(double p) {
  precondition(p > 0.0 && p < 1.0, "a quantile of the normal distribution, 0 < p < 1");
  // Newton on the distribution function, from the middle outwards: its logarithm is concave, so that it
  // converges from there.
  if (p > 0.5) return -normal_quantile(1.0 - p);
  double z = 0.0;
  for (int i = 0; i < 100; ++i) {
    const double below = 0.5 * std::erfc(-z * M_SQRT1_2);
    const double density = std::exp(-0.5 * z * z) / std::sqrt(2.0 * M_PI);
    const double step = below / density * std::log(below / p);
    z -= step;
    if (std::abs(step) < 1e-14) break;
  }
  return z;
}

Interval widened(Interval interval, double mean, double error, double level) {
  const double extra = normal_quantile(0.5 * (1.0 + level)) * error;
  return {mean - std::hypot(std::max(0.0, mean - interval.lower), extra),
          mean + std::hypot(std::max(0.0, interval.upper - mean), extra)};
}

void Coverage::add(double truth, Interval interval) {
  const double y = on_scale(truth);
  const bool covered = on_scale(interval.lower) <= y && y <= on_scale(interval.upper);
  const bool inside = std::abs(y) < kClippedFrom;
  ++(inside ? inner : clipped);
  (inside ? inner_covered : clipped_covered) += covered;
}

}  // namespace dwgf
