/// The noise level of every step of a flow.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

/// The number of steps a solve takes: the grid's K - 1 and those that settle, or `steps` of them.
std::int64_t step_count(const FlowOptions& options);

/// The level of every step: the grid's, then `settle` times the path's last.
std::vector<Level> flow_levels(const NoisePath& path, const FlowOptions& options);

/// The level of every step of the methods that take the grid evenly spaced, whatever `spacing` says.
std::vector<Level> evenly_spaced_levels(const NoisePath& path, const FlowOptions& options);

}  // namespace dwgf
