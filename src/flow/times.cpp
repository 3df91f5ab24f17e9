#include <algorithm>

#include <dwgf/flow/times.hpp>

namespace dwgf {

std::int64_t step_count(const FlowOptions& options) {
  const std::int64_t all = options.grid - 1 + options.settle;
  return options.steps > 0 ? std::min(options.steps, all) : all;
}

std::vector<Level> flow_levels(const NoisePath& path, const FlowOptions& options) {
  std::vector<Level> levels = path.levels(options.grid, options.spacing);
  levels.insert(levels.end(), static_cast<std::size_t>(options.settle), path.last());
  return levels;
}

std::vector<Level> evenly_spaced_levels(const NoisePath& path, const FlowOptions& options) {
  std::vector<Level> levels = path.levels(options.grid);
  levels.resize(static_cast<std::size_t>(step_count(options)), path.last());
  return levels;
}

}  // namespace dwgf
