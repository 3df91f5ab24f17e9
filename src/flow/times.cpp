#include <algorithm>
#include <cmath>

#include <dwgf/flow/times.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

namespace dwgf {

std::int64_t step_count(const FlowOptions& options) {
  const std::int64_t all = options.grid - 1 + options.settle;
  return options.steps > 0 ? std::min(options.steps, all) : all;
}

std::vector<Level> flow_levels(const NoisePath& path, const FlowOptions& options) {
  std::vector<Level> levels =
      options.start == Start::kalman
          ? levels_between(path, log_ratio_at(options.start_time), log_ratio(path.last()), options.grid - 1)
          : path.levels(options.grid, options.spacing);
  levels.insert(levels.end(), static_cast<std::size_t>(options.settle), path.last());
  return levels;
}

std::vector<Level> evenly_spaced_levels(const NoisePath& path, const FlowOptions& options) {
  if (options.start == Start::kalman) return flow_levels(path, options);
  std::vector<Level> levels = path.levels(options.grid);
  levels.resize(static_cast<std::size_t>(step_count(options)), path.last());
  return levels;
}

double log_ratio_at(double time) {
  const DdpmSchedule schedule{DdpmScheduleConfig{}};
  return log_ratio(
      schedule.level(std::clamp<std::int64_t>(std::llround(time), 1, schedule.train_steps() - 1)));
}

std::vector<Level> levels_between(const NoisePath& path, double first_ratio, double last_ratio,
                                  std::int64_t count) {
  std::vector<Level> levels;
  for (std::int64_t k = 0; k < count; ++k) {
    const double share = count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0.0;
    levels.push_back(path.nearest(std::lerp(first_ratio, last_ratio, share)));
  }
  return levels;
}

}  // namespace dwgf
