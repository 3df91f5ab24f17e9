/// scheduler/scheduler_config.json of a diffusers directory of flow matching. Missing keys take diffusers'
/// defaults; what this program does not support is refused, by name. Reference: diffusers 0.42.1,
/// schedulers/scheduling_flow_match_euler_discrete.py.
#pragma once

#include <filesystem>

#include <dwgf/prior/flow_matching_path.hpp>

namespace dwgf {

/// Reads the configuration of a FlowMatchEulerDiscreteScheduler. Throws NotFoundError where there is no such
/// file, DataError naming file, key, what was found and what is allowed.
FlowMatchingConfig read_flow_scheduler_config(const std::filesystem::path& file);

}  // namespace dwgf
