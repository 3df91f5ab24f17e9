#include "prior/families/published_models.hpp"

#include <algorithm>
#include <cmath>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

const char* name_of(PredictionType prediction) {
  switch (prediction) {
    case PredictionType::epsilon:
      return "epsilon";
    case PredictionType::v_prediction:
      return "v_prediction";
    case PredictionType::sample:
      return "sample";
  }
  throw InternalError("prior: unknown kind of prediction");
}

bool near(double a, double b) {
  return std::abs(a - b) <= 1e-4 * std::abs(b);
}

bool has_published_channels(const UNetConfig& unet) {
  const std::int64_t channels[] = {320, 640, 1280, 1280};
  return std::ranges::equal(unet.levels, channels, {}, &UNetLevel::channels);
}

struct Published {
  const char* name;
  PredictionType prediction;
};

std::optional<Published> published(const UNetConfig& unet) {
  if (!has_published_channels(unet)) return std::nullopt;
  if (unet.context_channels == 768) return Published{"Stable Diffusion 1.x", PredictionType::epsilon};
  if (unet.context_channels == 1024 && unet.sample_size == 64)
    return Published{"Stable Diffusion 2-base or 2.1-base", PredictionType::epsilon};
  if (unet.context_channels == 1024 && unet.sample_size == 96)
    return Published{"Stable Diffusion 2 or 2.1", PredictionType::v_prediction};
  return std::nullopt;
}

}  // namespace

std::vector<std::string> published_model_warnings(const UNetConfig& unet,
                                                  const AutoencoderConfig* autoencoder,
                                                  const DdpmScheduleConfig& schedule) {
  const auto model = published(unet);
  if (!model) return {};
  std::vector<std::string> warnings;
  const std::string looks = formatted("the prior's U-Net has the shape of {}", model->name);
  // Of the clean latent predict models of one step, which were distilled from these.
  if (schedule.prediction != model->prediction && schedule.prediction != PredictionType::sample) {
    warnings.push_back(
        formatted("{}, which predicts {}, but its scheduler_config.json says prediction_type = {}; is the "
                  "scheduler of another model?",
                  looks, name_of(model->prediction), name_of(schedule.prediction)));
  }
  if (autoencoder != nullptr && !near(autoencoder->scaling_factor, 0.18215)) {
    warnings.push_back(
        formatted("{}, whose latents are scaled by 0.18215, but vae/config.json says {}; is the autoencoder "
                  "of another model?",
                  looks, autoencoder->scaling_factor));
  }
  const bool betas =
      schedule.trained_betas.empty() && schedule.beta_schedule == BetaSchedule::scaled_linear &&
      near(schedule.beta_start, 0.00085) && near(schedule.beta_end, 0.012) && schedule.train_steps == 1000;
  if (!betas) {
    warnings.push_back(
        formatted("{}, trained with scaled_linear betas from 0.00085 to 0.012 over 1000 steps, but its "
                  "scheduler_config.json says otherwise; are keys missing in it?",
                  looks));
  }
  return warnings;
}

std::vector<std::string> published_model_warnings(const JointTransformerConfig& transformer,
                                                  const AutoencoderConfig* autoencoder,
                                                  const FlowMatchingConfig& schedule) {
  if (transformer.layers != transformer.heads || (transformer.heads != 24 && transformer.heads != 38))
    return {};
  std::vector<std::string> warnings;
  const char* const looks = "the prior's transformer has the shape of Stable Diffusion 3";
  if (autoencoder != nullptr &&
      !(near(autoencoder->scaling_factor, 1.5305) && near(autoencoder->shift_factor, 0.0609))) {
    warnings.push_back(
        formatted("{}, whose latents are moved by 0.0609 and scaled by 1.5305, but vae/config.json says "
                  "shift_factor = {} and scaling_factor = {}; is the autoencoder of another model?",
                  looks, autoencoder->shift_factor, autoencoder->scaling_factor));
  }
  if (!near(schedule.shift, 3.0) || schedule.train_steps != 1000) {
    warnings.push_back(
        formatted("{}, whose levels are shifted by 3 over 1000 times, but its scheduler_config.json says "
                  "shift = {} and num_train_timesteps = {}; is the scheduler of another model?",
                  looks, schedule.shift, schedule.train_steps));
  }
  return warnings;
}

std::string slow_precision_warning(const char* network) {
  return formatted(
      "the {} computes in fp16, which is slow on CPUs (20 times slower than fp32 where it was measured: most "
      "have no arithmetic for it); bf16 or fp32 is faster",
      network);
}

std::optional<std::string> prediction_warning(PredictionType claimed, double correlation,
                                              double noise_level) {
  if (noise_level < 0.99) return std::nullopt;
  const bool gives_noise_back = correlation > 0.9;
  if (claimed == PredictionType::v_prediction && gives_noise_back) {
    return formatted(
        "the prior's U-Net gives back the noise it is shown at its last time (correlation {}), as one that "
        "predicts epsilon does, but its scheduler_config.json says prediction_type = v_prediction; is the "
        "scheduler of another model?",
        correlation);
  }
  if (claimed == PredictionType::epsilon && !(correlation > 0.5)) {
    return formatted(
        "the prior's U-Net does not give back the noise it is shown at its last time (correlation {}, where "
        "one that predicts epsilon is near 1), but its scheduler_config.json says prediction_type = epsilon; "
        "does it predict v, or are its weights not trained?",
        correlation);
  }
  return std::nullopt;
}

}  // namespace dwgf
