#include <filesystem>
#include <optional>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/autoencoder.hpp>
#include <dwgf/prior/differentiate.hpp>
#include <dwgf/prior/model_config.hpp>
#include <dwgf/prior/stable_diffusion.hpp>
#include <dwgf/prior/text_encoder.hpp>
#include <dwgf/prior/unet.hpp>
#include <dwgf/prior/weights.hpp>

#include "loading.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeightsStem = "diffusion_pytorch_model";
constexpr const char* kTextWeightsStem = "model";

class StableDiffusion final : public Prior {
 public:
  StableDiffusion(const fs::path& directory, const StableDiffusionOptions& options);

  const PriorGeometry& geometry() const override { return geometry_; }
  const NoiseSchedule& schedule() const override { return schedule_; }
  const std::string& sha256() const override { return sha256_; }
  at::TensorOptions options() const override { return options_; }

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override;
  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override;
  at::Tensor decode(const at::Tensor& z) const override;
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override;
  LatentDistribution encode(const at::Tensor& x) const override;

 private:
  at::Tensor noise_from_prediction(const at::Tensor& z_t, std::int64_t time) const;
  at::Tensor decode_unscaled(const at::Tensor& z) const;
  void set_context(const at::Tensor& context, std::int64_t channels, const fs::path& directory);
  at::Tensor encode_prompt(const std::string& prompt, const Weights& weights, std::int64_t channels,
                           const fs::path& directory) const;
  void check(const at::Tensor& tensor, std::int64_t channels, const char* what) const;

  at::TensorOptions options_;
  NoiseSchedule schedule_;
  AutoencoderConfig autoencoder_config_;
  PriorGeometry geometry_;
  bool has_encoder_;
  std::string sha256_;
  std::shared_ptr<UNet> unet_;
  std::shared_ptr<Autoencoder> autoencoder_;
};

StableDiffusion::StableDiffusion(const fs::path& directory, const StableDiffusionOptions& options)
    : options_(at::TensorOptions(options.dtype).device(options.device)),
      schedule_(read_schedule_config(directory / "scheduler" / "scheduler_config.json")),
      autoencoder_config_(read_autoencoder_config(directory / "vae" / "config.json")),
      has_encoder_(options.need_encoder) {
  const UNetConfig unet_config = read_unet_config(directory / "unet" / "config.json");
  if (unet_config.latent_channels != autoencoder_config_.latent_channels) {
    throw DataError(concat("prior: the U-Net in ", directory.string(), " works on ",
                           unet_config.latent_channels, " latent channels but its autoencoder on ",
                           autoencoder_config_.latent_channels, "; take both from one model"));
  }
  geometry_ = {.image_channels = autoencoder_config_.image_channels,
               .latent_channels = autoencoder_config_.latent_channels,
               .factor = std::int64_t{1} << (autoencoder_config_.channels.size() - 1)};

  std::error_code ignored;
  const bool has_text_encoder = fs::is_directory(directory / "text_encoder", ignored);
  if (!options.prompt.empty() && options.context.defined())
    throw UsageError("prior: a prompt and a prompt's embedding were given; give one of them");
  if (!options.prompt.empty() && !has_text_encoder) {
    throw NotFoundError(
        concat("prior: there is no folder ", (directory / "text_encoder").string(),
               ", so the prompt cannot be encoded; fetch text_encoder/ and tokenizer/ too, give "
               "the prompt's embedding, or leave the prompt out"));
  }

  const Weights unet_weights(directory / "unet", kWeightsStem);
  const Weights autoencoder_weights(directory / "vae", kWeightsStem);
  at::Tensor context = options.context;
  std::vector<const Weights*> all_weights = {&unet_weights, &autoencoder_weights};
  std::optional<Weights> text_weights;
  if (!context.defined() && has_text_encoder) {
    text_weights.emplace(directory / "text_encoder", kTextWeightsStem);
    context = encode_prompt(options.prompt, *text_weights, unet_config.context_channels, directory);
    all_weights.push_back(&*text_weights);
  }
  unet_ = load_model<UNet>(unet_config, unet_weights, same_name, options_);
  autoencoder_ = load_model<Autoencoder>(
      AutoencoderParts{autoencoder_config_, has_encoder_}, autoencoder_weights,
      [&](const std::string& name) { return autoencoder_parameter(name, has_encoder_); }, options_);
  sha256_ = dwgf::sha256(all_weights);
  set_context(context, unet_config.context_channels, directory);
}

void StableDiffusion::set_context(const at::Tensor& context, std::int64_t channels,
                                  const fs::path& directory) {
  if (!context.defined()) {
    unet_->set_context(at::zeros({1, 1, channels}, options_));
    return;
  }
  if (context.dim() != 3 || context.size(0) != 1 || context.size(1) < 1 || context.size(2) != channels) {
    throw DataError(concat("prior: the prompt's embedding has the shape ", context.sizes(),
                           ", but the U-Net in ", directory.string(), " needs [1, tokens, ", channels,
                           "]: it was made by another model's text encoder"));
  }
  unet_->set_context(context.detach().to(options_));
}

at::Tensor StableDiffusion::encode_prompt(const std::string& prompt, const Weights& weights,
                                          std::int64_t channels, const fs::path& directory) const {
  const TextEncoderConfig config = read_text_encoder_config(weights.folder() / "config.json");
  if (config.channels != channels) {
    throw DataError(concat("prior: the text encoder in ", weights.folder().string(), " makes embeddings of ",
                           config.channels, " channels (its hidden_size), but the U-Net in ",
                           directory.string(), " needs ", channels,
                           " (its cross_attention_dim); take both from one model"));
  }
  // Run once, so that half precision would save nothing.
  const auto type = options_.dtype() == at::kDouble ? at::kDouble : at::kFloat;
  return dwgf::encode_prompt(directory, config, weights, prompt, options_.dtype(type));
}

void StableDiffusion::check(const at::Tensor& tensor, std::int64_t channels, const char* what) const {
  const bool good = tensor.defined() && tensor.dim() == 4 && tensor.size(1) == channels &&
                    tensor.numel() > 0 && tensor.scalar_type() == options_.dtype().toScalarType() &&
                    tensor.device().type() == options_.device().type();
  if (!good)
    throw InternalError(concat("prior: ", what, " must be [B, ", channels,
                               ", height, width] in the prior's type, on its device"));
}

at::Tensor StableDiffusion::noise_from_prediction(const at::Tensor& z_t, std::int64_t time) const {
  const at::Tensor prediction = unet_->forward(z_t, time);  // [B, c, h, w]
  if (schedule_.prediction() == PredictionType::epsilon) return prediction;
  return prediction.mul(schedule_.signal(time))
      .add(z_t, schedule_.noise(time));  // arXiv 2202.00512, appendix D
}

at::Tensor StableDiffusion::predict_noise(const at::Tensor& z_t, std::int64_t time) const {
  check(z_t, geometry_.latent_channels, "latents");
  schedule_.alpha_bar(time);  // refuses a time outside the schedule
  const at::NoGradGuard no_grad;
  return noise_from_prediction(z_t, time);
}

PredictedNoise StableDiffusion::predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const {
  check(z_t, geometry_.latent_channels, "latents");
  schedule_.alpha_bar(time);
  auto [noise, pull_back] =
      differentiate([&](const at::Tensor& z) { return noise_from_prediction(z, time); }, z_t);
  return {noise, pull_back};
}

at::Tensor StableDiffusion::decode_unscaled(const at::Tensor& z) const {
  const at::Tensor scaled = z / autoencoder_config_.scaling_factor;
  return autoencoder_->decode(
      autoencoder_config_.shift_factor == 0.0 ? scaled : scaled + autoencoder_config_.shift_factor);
}

at::Tensor StableDiffusion::decode(const at::Tensor& z) const {
  check(z, geometry_.latent_channels, "latents");
  const at::NoGradGuard no_grad;
  return decode_unscaled(z);
}

DecodedImage StableDiffusion::decode_with_pull_back(const at::Tensor& z) const {
  check(z, geometry_.latent_channels, "latents");
  auto [x, pull_back] = differentiate([&](const at::Tensor& latent) { return decode_unscaled(latent); }, z);
  return {x, pull_back};
}

LatentDistribution StableDiffusion::encode(const at::Tensor& x) const {
  if (!has_encoder_) throw InternalError("prior: encode() of a prior that was loaded without its encoder");
  check(x, geometry_.image_channels, "images");
  if (x.size(2) % geometry_.factor != 0 || x.size(3) % geometry_.factor != 0) {
    throw DataError(concat("prior: an image of ", x.size(2), " x ", x.size(3),
                           " pixels; this prior takes multiples of ", geometry_.factor,
                           " in both directions: crop or pad it"));
  }
  const at::NoGradGuard no_grad;
  auto [mean, log_variance] = autoencoder_->encode(x);  // [B, c, h, w] each
  const double scale = autoencoder_config_.scaling_factor;
  return {(mean - autoencoder_config_.shift_factor).mul_(scale), log_variance.mul_(0.5).exp_().mul_(scale)};
}

}  // namespace

std::unique_ptr<Prior> load_stable_diffusion(const std::string& directory,
                                             const StableDiffusionOptions& options) {
  return guarded_load(directory, [&]() -> std::unique_ptr<Prior> {
    std::error_code ignored;
    if (!fs::is_directory(directory, ignored)) {
      throw NotFoundError(concat("prior: no such directory: ", directory,
                                 "; name a diffusers directory with unet/, vae/ and scheduler/"));
    }
    return std::make_unique<StableDiffusion>(directory, options);
  });
}

}  // namespace dwgf
