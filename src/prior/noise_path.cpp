#include <algorithm>
#include <cmath>

#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

double log_ratio(const Level& level) {
  return std::log(level.noise / level.signal);
}

double scale_of(const Level& level) {
  constexpr double rounding = 1e-9;
  const double square = level.signal * level.signal + level.noise * level.noise;
  return std::abs(square - 1.0) < rounding ? 1.0 : std::sqrt(square);
}

Level NoisePath::nearest(double wanted) const {
  constexpr std::int64_t finest = 999;
  std::vector<Level> all = levels(finest);
  all.push_back(last());
  return *std::ranges::min_element(all, {},
                                   [&](const Level& level) { return std::abs(log_ratio(level) - wanted); });
}

}  // namespace dwgf
