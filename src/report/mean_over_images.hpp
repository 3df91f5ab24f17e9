/// A mean over images with its standard error: images are independent of each other, the pixels of one are
/// not, so that the error comes from the images alone, whatever each of them was measured on.
///
///     m = sum w v / sum w,   error^2 = n / (n - 1) sum w^2 (v - m)^2 / (sum w)^2
///
/// the error of a ratio (Cochran, Sampling Techniques, 1977, section 6.4); s / sqrt(n) for equal weights.
#pragma once

#include <cstddef>
#include <optional>

namespace dwgf {

class MeanOverImages {
 public:
  void add(double value, double weight = 1.0);

  std::size_t count() const { return count_; }
  /// Nothing where no weight was added.
  std::optional<double> value() const;
  /// Nothing for fewer than two images, nor where a value was not finite.
  std::optional<double> error() const;

 private:
  std::size_t count_ = 0;
  double first_ = 0.0;  // the first value, from which the others are counted
  double weight_ = 0.0, weighted_ = 0.0;
  double squares_ = 0.0, weighted_squares_ = 0.0, square_sum_ = 0.0;  // of w^2, w^2 v, w^2 v^2
};

}  // namespace dwgf
