/// Where the truth stands among the particles: ranks, and whether they are as even as those of exchangeable
/// values. A truth that is one of the particles' kind has every rank 0 ... N among N of them equally often
/// (Hamill, 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2; for inference, simulation-based
/// calibration, Talts et al., arXiv 1804.06788): a histogram over pixels is level, a valley tells of too
/// little spread, a hill of too much, a slope of a bias.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dwgf {

/// What a rank takes of [0, 1]: [below / (N + 1), (below + equal + 1) / (N + 1)]. A truth that equals
/// particles may have any rank between them (a randomised probability integral transform, its mean).
struct RankSpan {
  double lower = 0.0, upper = 1.0;
};

/// All clipped to [-1, 1] first, as a decoder saturates there. @pre not empty; sorted, which is not checked
RankSpan rank_of(std::span<const float> sorted, double truth);

/// Shares of [0, 1] in equal bins; every rank counts 1, evenly over its span.
class RankHistogram {
 public:
  /// @pre bins >= 1
  explicit RankHistogram(std::int64_t bins);
  /// @pre 0 <= lower < upper <= 1
  void add(const RankSpan& rank);
  /// Of sum 1; all 0 where nothing was added.
  std::vector<double> shares() const;

 private:
  std::vector<double> sums_;
  double count_ = 0.0;
};

/// 2 (mean - 1/2) of the histogram as a density: 0 where it is level, above where the truth lies above the
/// particles, on [-1, 1].
double rank_bias(std::span<const double> shares);

/// 12 E (u - 1/2)^2 - 1: 0 where it is level, up to 2 for a valley (too little spread), down to -1 for a hill
/// (too much).
double rank_dispersion(std::span<const double> shares);

/// How often level histograms of as many images would be as far from it as the mean of these, [images][bins]:
/// a sign-flip test of |sum over images of (shares - 1 / bins)|^2 with 499 addressed draws, which asks
/// nothing of how the pixels of an image depend on each other; (1 + how many are as large) / 500. Nothing for
/// fewer than 8 images, whose signs have too few arrangements. @pre the same number of bins in all
std::optional<double> evenness(const std::vector<std::vector<double>>& histograms);

}  // namespace dwgf
