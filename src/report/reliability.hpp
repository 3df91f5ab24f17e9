/// Whether pixels that the ensemble calls uncertain are wrong more often: pixels by their predicted standard
/// deviation s, and in each class
///
///     predicted = sqrt(mean s^2),   found = sqrt(mean (mean - truth)^2),   the share inside of its interval
///
/// A spread that can be trusted pixel by pixel, not on the whole alone, has predicted = found in every class
/// that holds many pixels.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "job/stored_image.hpp"
#include "report/mean_over_images.hpp"
#include "report/metrics.hpp"

namespace dwgf {

/// A class: lower <= s < upper, on the [-1, 1] scale.
struct ReliabilityClass {
  double lower = 0.0, upper = std::numeric_limits<double>::infinity();
  std::int64_t pixels = 0;
  MeanOverImages squared_deviation = {}, squared_error = {};
  MeanOverImages inside = {};  ///< the share of pixels in their interval; none where there are no intervals
};

class Reliability {
 public:
  explicit Reliability(const PosteriorContext& context);

  /// Counts an image's inner pixels (posterior/calibration.hpp: Coverage); none where its truth is not known.
  void add(const StoredImage& image);

  /// Those that hold a pixel, by rising deviation.
  std::vector<ReliabilityClass> take() const;

 private:
  static constexpr std::array<double, 7> kEdges = {0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32};

  PosteriorContext context_;
  std::array<ReliabilityClass, kEdges.size()> classes_;
};

}  // namespace dwgf
