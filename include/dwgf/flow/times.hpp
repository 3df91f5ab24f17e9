/// The noise level of every step of a flow.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

/// The number of steps a solve takes: the grid's K - 1 and those that settle, or `steps` of them.
std::int64_t step_count(const FlowOptions& options);

/// The level of every step: the grid's, then `settle` times the path's last. After a start by kalman the grid
/// goes evenly in log(s / a) from the level of `start_time` to the path's last.
std::vector<Level> flow_levels(const NoisePath& path, const FlowOptions& options);

/// The level of every step of the methods that take the grid evenly spaced, whatever `spacing` says.
std::vector<Level> evenly_spaced_levels(const NoisePath& path, const FlowOptions& options);

/// log(s / a) at a time of Stable Diffusion's schedule, in which options measure noise on any path: between 1
/// and 999.
double log_ratio_at(double time);

/// `count` levels evenly in log(s / a).
std::vector<Level> levels_between(const NoisePath& path, double first_ratio, double last_ratio,
                                  std::int64_t count);

}  // namespace dwgf
