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
  if (options.spacing == Spacing::log) times = evenly_in_noise(schedule, times);
  times.insert(times.end(), static_cast<std::size_t>(options.settle), schedule.config().steps_offset);
  return times;
}

std::vector<std::int64_t> evenly_in_noise(const NoiseSchedule& schedule,
                                          const std::vector<std::int64_t>& times) {
  const auto level = [&](std::int64_t time) {
    return std::log(schedule.noise(time) / schedule.signal(time));
  };
  const double first = level(times.front()), last = level(times.back());
  std::vector<std::int64_t> spaced;
  std::int64_t time = times.front();
  for (std::size_t k = 0; k < times.size(); ++k) {
    const double share =
        times.size() > 1 ? static_cast<double>(k) / static_cast<double>(times.size() - 1) : 0.0;
    const double wanted = first + share * (last - first);
    while (time > times.back() && std::abs(level(time - 1) - wanted) <= std::abs(level(time) - wanted))
      --time;
    spaced.push_back(time);
  }
  return spaced;
}

}  // namespace dwgf
