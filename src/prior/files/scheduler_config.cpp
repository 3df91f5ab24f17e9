#include "prior/files/scheduler_config.hpp"

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kMostTimes = 1'000'000;

}  // namespace

DdpmScheduleConfig read_scheduler_config(const std::filesystem::path& path) {
  const ConfigFile file(
      path, {"DDIMScheduler", "PNDMScheduler", "DDPMScheduler", "LMSDiscreteScheduler",
             "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
             "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler"});
  file.require("rescale_betas_zero_snr", false);
  file.require("use_flow_sigmas", false);
  file.text("timestep_type", "discrete", {"discrete"});

  // The defaults that all these classes share.
  DdpmScheduleConfig config;
  config.train_steps = file.integer("num_train_timesteps", 1000, 3, kMostTimes);
  config.beta_start = file.real("beta_start", 0.0001, 0.0, 1.0);
  config.beta_end = file.real("beta_end", 0.02, 0.0, 1.0);
  const auto betas = file.text("beta_schedule", "linear", {"linear", "scaled_linear", "squaredcos_cap_v2"});
  config.beta_schedule = betas == "linear"          ? BetaSchedule::linear
                         : betas == "scaled_linear" ? BetaSchedule::scaled_linear
                                                    : BetaSchedule::squared_cosine;
  config.trained_betas = file.reals("trained_betas", kMostTimes);
  // With trained betas diffusers takes their number for abar, whatever num_train_timesteps says.
  if (!config.trained_betas.empty() &&
      config.train_steps != static_cast<std::int64_t>(config.trained_betas.size())) {
    file.fail("trained_betas", formatted("a list of {}", config.trained_betas.size()),
              formatted("num_train_timesteps of them, {}", config.train_steps));
  }
  config.steps_offset = file.integer("steps_offset", 0, 0, config.train_steps - 1);
  config.prediction = file.text("prediction_type", "epsilon", {"epsilon", "v_prediction"}) == "epsilon"
                          ? PredictionType::epsilon
                          : PredictionType::v_prediction;
  return config;
}

}  // namespace dwgf
