#include <algorithm>
#include <cmath>

#include <dwgf/flow/times.hpp>

namespace dwgf {

std::int64_t step_count(const FlowOptions& options) {
  const std::int64_t all = options.grid - 1 + options.settle;
  return options.steps > 0 ? std::min(options.steps, all) : all;
}

std::vector<std::int64_t> flow_times(const NoiseSchedule& schedule, const FlowOptions& options) {
  std::vector<std::int64_t> times = schedule.times(options.grid);
  const std::int64_t left_out = schedule.config().steps_offset;
  if (options.spacing == Spacing::log)
    times = evenly_in_noise(schedule, times.front(), left_out, times.size());
  times.insert(times.end(), static_cast<std::size_t>(options.settle), left_out);
  return times;
}

std::vector<std::int64_t> evenly_in_noise(const NoiseSchedule& schedule, std::int64_t first,
                                          std::int64_t last, std::size_t count) {
  const auto level = [&](std::int64_t time) {
    return std::log(schedule.noise(time) / schedule.signal(time));
  };
  std::vector<std::int64_t> spaced;
  std::int64_t time = first;
  for (std::size_t k = 0; k < count; ++k) {
    const double share = count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0.0;
    const double wanted = level(first) + share * (level(last) - level(first));
    while (time > last && std::abs(level(time - 1) - wanted) <= std::abs(level(time) - wanted)) --time;
    spaced.push_back(time);
  }
  return spaced;
}

}  // namespace dwgf
