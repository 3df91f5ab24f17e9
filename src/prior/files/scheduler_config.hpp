/// scheduler/scheduler_config.json of a diffusers directory. Missing keys take diffusers' defaults; what this
/// program does not support is refused, by name. Reference: diffusers 0.42.1, schedulers/.
#pragma once

#include <filesystem>

#include <dwgf/prior/ddpm_schedule.hpp>

namespace dwgf {

/// Reads the configuration of any diffusers scheduler over discrete times: betas, steps_offset and
/// prediction_type. Throws NotFoundError where there is no such file, DataError naming file, key, what was
/// found and what is allowed.
DdpmScheduleConfig read_scheduler_config(const std::filesystem::path& file);

}  // namespace dwgf
