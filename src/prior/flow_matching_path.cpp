#include <cmath>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kMostSteps = 1'000'000;

}  // namespace

FlowMatchingPath::FlowMatchingPath(FlowMatchingConfig config) : config_(config) {
  if (config_.train_steps < 3 || config_.train_steps > kMostSteps)
    throw DataError("flow matching: {} training times; allowed: 3 ... {}", config_.train_steps, kMostSteps);
  if (!(config_.shift > 0.0 && std::isfinite(config_.shift)))
    throw DataError("flow matching: a shift of {}; allowed: above 0", config_.shift);
  const float s = 1.0F / static_cast<float>(config_.train_steps);
  cleanest_ = static_cast<float>(config_.shift) * s / (1.0F + static_cast<float>(config_.shift - 1.0) * s);
}

std::vector<double> FlowMatchingPath::sigmas(std::int64_t steps) const {
  if (steps < 1 || steps > config_.train_steps)
    throw UsageError("{} steps; allowed for this prior: 1 ... {}", steps, config_.train_steps);
  const auto times = static_cast<double>(config_.train_steps);
  const double last = cleanest_ * times;
  const double apart = steps > 1 ? (last - times) / static_cast<double>(steps - 1) : 0.0;
  std::vector<double> sigmas;
  for (std::int64_t k = 0; k < steps; ++k) {
    const bool at_end = k > 0 && k + 1 == steps;
    sigmas.push_back(shifted((at_end ? last : static_cast<double>(k) * apart + times) / times));
  }
  return sigmas;
}

double FlowMatchingPath::shifted(double s) const {
  return static_cast<float>(config_.shift * s / (1.0 + (config_.shift - 1.0) * s));
}

Level FlowMatchingPath::level(double s) const {
  const float time = static_cast<float>(s) * static_cast<float>(config_.train_steps);
  return {1.0 - s, s, static_cast<double>(time)};
}

Level FlowMatchingPath::with_signal(double s) const {
  Level level = this->level(s);
  if (level.signal < kLeastSignal) {
    level.signal = kLeastSignal;
    level.noise = 1.0 - kLeastSignal;
  }
  return level;
}

std::vector<Level> FlowMatchingPath::levels(std::int64_t grid, Spacing spacing) const {
  if (grid < 2 || grid > config_.train_steps)
    throw UsageError("a time grid of {} times; allowed for this prior: 2 ... {}", grid, config_.train_steps);
  std::vector<Level> levels;
  if (spacing == Spacing::linear) {
    for (const double s : sigmas(grid - 1)) levels.push_back(with_signal(s));
    return levels;
  }
  const double from = log_ratio(first()), to = log_ratio(last());
  for (std::int64_t k = 0; k < grid - 1; ++k) {
    const double share = grid > 2 ? static_cast<double>(k) / static_cast<double>(grid - 2) : 0.0;
    levels.push_back(nearest(std::lerp(from, to, share)));
  }
  return levels;
}

Level FlowMatchingPath::last() const {
  return with_signal(shifted(cleanest_));
}

Level FlowMatchingPath::first() const {
  return with_signal(1.0);
}

Level FlowMatchingPath::nearest(double wanted) const {
  if (wanted >= log_ratio(first())) return first();
  if (wanted <= log_ratio(last())) return last();
  return with_signal(1.0 / (1.0 + std::exp(-wanted)));
}

}  // namespace dwgf
