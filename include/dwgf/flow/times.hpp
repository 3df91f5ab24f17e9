/// The time of every step of a flow.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/prior/schedule.hpp>

namespace dwgf {

/// The number of steps a solve takes: the grid's K - 1 and those that settle, or `steps` of them.
std::int64_t step_count(const FlowOptions& options);

/// The time of every step: the grid's, or as many from its first evenly in log(s / a) to the one that a DDIM
/// grid leaves out (steps_offset, 1 for Stable Diffusion); then `settle` times that one.
std::vector<std::int64_t> flow_times(const NoiseSchedule& schedule, const FlowOptions& options);

/// `count` times from `first` down to `last`, evenly in log(s / a): each is the one nearest to its place.
std::vector<std::int64_t> evenly_in_noise(const NoiseSchedule& schedule, std::int64_t first,
                                          std::int64_t last, std::size_t count);

}  // namespace dwgf
