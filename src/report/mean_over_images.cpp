#include "report/mean_over_images.hpp"

#include <algorithm>
#include <cmath>

namespace dwgf {

void MeanOverImages::add(double value, double weight) {
  if (count_++ == 0) first_ = value;
  const double v = value - first_, squared = weight * weight;
  weight_ += weight;
  weighted_ += weight * v;
  squares_ += squared;
  weighted_squares_ += squared * v;
  square_sum_ += squared * v * v;
}

std::optional<double> MeanOverImages::value() const {
  return weight_ > 0 ? std::optional(first_ + weighted_ / weight_) : std::nullopt;
}

std::optional<double> MeanOverImages::error() const {
  if (count_ < 2 || !(weight_ > 0)) return std::nullopt;
  const double mean = weighted_ / weight_, n = static_cast<double>(count_);
  const double deviations = square_sum_ - 2 * mean * weighted_squares_ + mean * mean * squares_;
  if (!std::isfinite(deviations)) return std::nullopt;
  return std::sqrt(std::max(0.0, deviations) * n / (n - 1)) / weight_;
}

}  // namespace dwgf
