/// scheduler/scheduler_config.json of a diffusers directory. Missing keys take diffusers' defaults; what this
/// program does not support is refused, by name. Reference: diffusers 0.42.1, schedulers/.
#pragma once

#include <filesystem>
#include <optional>

#include <dwgf/prior/ddpm_schedule.hpp>

#include "prior/few_step_schedule.hpp"

namespace dwgf {

/// Reads the configuration of any diffusers scheduler over discrete times: betas, steps_offset and
/// prediction_type. Throws NotFoundError where there is no such file, DataError naming file, key, what was
/// found and what is allowed.
DdpmScheduleConfig read_scheduler_config(const std::filesystem::path& file);

/// How a model is sampled in few steps: of LCMScheduler and TCDScheduler (a model that was distilled to
/// them), and of EulerDiscreteScheduler and EulerAncestralDiscreteScheduler with trailing spacing; nothing
/// for any other. Throws as above.
std::optional<FewStepConfig> read_few_step_config(const std::filesystem::path& file);

}  // namespace dwgf
