#include "prior/files/scheduler_config.hpp"

#include <string>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kMostTimes = 1'000'000;

bool is_consistency_scheduler(const std::string& kind) {
  return kind == "LCMScheduler" || kind == "TCDScheduler";
}

}  // namespace

DdpmScheduleConfig read_scheduler_config(const std::filesystem::path& path) {
  const ConfigFile file(
      path,
      {"DDIMScheduler", "PNDMScheduler", "DDPMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
       "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
       "UniPCMultistepScheduler", "DEISMultistepScheduler", "LCMScheduler", "TCDScheduler"});
  const bool consistency = is_consistency_scheduler(config_class(path));
  file.require("rescale_betas_zero_snr", false);
  file.require("use_flow_sigmas", false);
  file.text("timestep_type", "discrete", {"discrete"});

  // The defaults that these classes share, but for two.
  DdpmScheduleConfig config;
  config.train_steps = file.integer("num_train_timesteps", 1000, 3, kMostTimes);
  config.beta_start = file.real("beta_start", consistency ? 0.00085 : 0.0001, 0.0, 1.0);
  config.beta_end = file.real("beta_end", consistency ? 0.012 : 0.02, 0.0, 1.0);
  const auto betas = file.text("beta_schedule", consistency ? "scaled_linear" : "linear",
                               {"linear", "scaled_linear", "squaredcos_cap_v2"});
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
  const auto predicts = file.text("prediction_type", "epsilon", {"epsilon", "v_prediction", "sample"});
  config.prediction = predicts == "epsilon"        ? PredictionType::epsilon
                      : predicts == "v_prediction" ? PredictionType::v_prediction
                                                   : PredictionType::sample;
  return config;
}

std::optional<FewStepConfig> read_few_step_config(const std::filesystem::path& path) {
  const std::string kind = config_class(path);
  const ConfigFile file(path, {kind.c_str()});
  const auto spacing = file.text("timestep_spacing", "leading", {"leading", "linspace", "trailing"});
  FewStepConfig config;
  if (is_consistency_scheduler(kind)) {
    config.sampler = kind == "LCMScheduler" ? FewStepSampler::consistency : FewStepSampler::trajectory;
    for (const char* key : {"clip_sample", "thresholding"}) file.require(key, false);
    const std::int64_t most = file.integer("num_train_timesteps", 1000, 3, kMostTimes);
    config.original_steps = file.integer("original_inference_steps", 50, 1, most);
    config.time_scaling = file.real("timestep_scaling", 10.0, 1e-6, 1e6);
    return config;
  }
  if (spacing != "trailing") return std::nullopt;
  if (kind == "EulerDiscreteScheduler") {
    config.sampler = FewStepSampler::euler;
    return config;
  }
  if (kind == "EulerAncestralDiscreteScheduler") {
    config.sampler = FewStepSampler::ancestral;
    return config;
  }
  return std::nullopt;
}

}  // namespace dwgf
