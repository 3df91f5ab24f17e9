#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/differentiate.hpp"
#include "prior/families/published_models.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/weights.hpp"
#include "prior/models/autoencoder.hpp"
#include "prior/models/memory.hpp"
#include "prior/models/model_config.hpp"
#include "prior/models/text_encoder.hpp"
#include "prior/models/unet.hpp"
#include "prior/nn/half_precision.hpp"
#include "prior/nn/tf32.hpp"
#include "prior/redo_in_float.hpp"

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
  std::vector<std::string> warnings() const override;
  std::optional<std::uint64_t> step_bytes(std::int64_t batch, std::int64_t latent_height,
                                          std::int64_t latent_width) const override;

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override;
  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override;
  at::Tensor decode(const at::Tensor& z) const override;
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override;
  LatentDistribution encode(const at::Tensor& x) const override;
  EncodedImage encode_with_pull_back(const at::Tensor& x) const override;

 private:
  void check_images(const at::Tensor& x) const;
  at::Tensor noise_from_prediction(const at::Tensor& z_t, std::int64_t time) const;
  at::Tensor to_autoencoder(const at::Tensor& z) const;
  DecoderGradient gradient_for(std::int64_t batch, std::int64_t latent_height,
                               std::int64_t latent_width) const;
  void set_context(const at::Tensor& context, std::int64_t channels, const fs::path& directory);
  at::Tensor encode_prompt(const std::string& prompt, const Weights& weights, std::int64_t channels,
                           const fs::path& directory, FileHashes& hashes) const;
  void check_latents(const at::Tensor& z_t, std::int64_t time) const;
  void check(const at::Tensor& tensor, std::int64_t channels, const char* what) const;

  at::TensorOptions options_;
  at::ScalarType unet_type_, autoencoder_type_;
  bool unet_tf32_, autoencoder_tf32_;
  std::optional<DecoderGradient> decoder_gradient_;
  NoiseSchedule schedule_;
  AutoencoderConfig autoencoder_config_;
  PriorGeometry geometry_;
  UNetConfig unet_config_;
  bool has_encoder_;
  std::string sha256_;
  std::shared_ptr<UNet> unet_;
  std::shared_ptr<Autoencoder> autoencoder_;
};

StableDiffusion::StableDiffusion(const fs::path& directory, const StableDiffusionOptions& options)
    : options_(at::TensorOptions(options.dtype).device(options.device)),
      unet_type_(options.unet_type.value_or(options.dtype)),
      autoencoder_type_(options.autoencoder_type.value_or(options.dtype)),
      unet_tf32_(options.unet_tf32),
      autoencoder_tf32_(options.autoencoder_tf32),
      decoder_gradient_(options.decoder_gradient),
      schedule_(read_schedule_config(directory / "scheduler" / "scheduler_config.json")),
      autoencoder_config_(read_autoencoder_config(directory / "vae" / "config.json")),
      unet_config_(read_unet_config(directory / "unet" / "config.json")),
      has_encoder_(options.need_encoder) {
  if (unet_config_.latent_channels != autoencoder_config_.latent_channels) {
    throw DataError(concat("prior: the U-Net in ", directory.string(), " works on ",
                           unet_config_.latent_channels, " latent channels but its autoencoder on ",
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

  FileHashes hashes;
  const Weights unet_weights(directory / "unet", kWeightsStem);
  const Weights autoencoder_weights(directory / "vae", kWeightsStem);
  at::Tensor context = options.context;
  std::vector<const Weights*> all_weights = {&unet_weights, &autoencoder_weights};
  std::optional<Weights> text_weights;
  if (!context.defined() && has_text_encoder) {
    text_weights.emplace(directory / "text_encoder", kTextWeightsStem);
    all_weights.push_back(&*text_weights);
    if (options.need_unet)
      context =
          encode_prompt(options.prompt, *text_weights, unet_config_.context_channels, directory, hashes);
  }
  if (options.need_unet) {
    unet_ = load_model<UNet>(unet_config_, unet_weights, same_name, options_.dtype(unet_type_), hashes);
    set_context(context, unet_config_.context_channels, directory);
  }
  if (options.need_autoencoder) {
    autoencoder_ = load_model<Autoencoder>(
        AutoencoderParts{autoencoder_config_, has_encoder_}, autoencoder_weights,
        [&](const std::string& name) { return autoencoder_parameter(name, has_encoder_); },
        options_.dtype(autoencoder_type_), hashes);
  }
  sha256_ = dwgf::sha256(all_weights, hashes);
}

void StableDiffusion::set_context(const at::Tensor& context, std::int64_t channels,
                                  const fs::path& directory) {
  if (!context.defined()) {
    unet_->set_context(at::zeros({1, 1, channels}, options_.dtype(unet_type_)));
    return;
  }
  if (context.dim() != 3 || context.size(0) != 1 || context.size(1) < 1 || context.size(2) != channels) {
    throw DataError(concat("prior: the prompt's embedding has the shape ", context.sizes(),
                           ", but the U-Net in ", directory.string(), " needs [1, tokens, ", channels,
                           "]: it was made by another model's text encoder"));
  }
  unet_->set_context(context.detach().to(options_.dtype(unet_type_)));
}

at::Tensor StableDiffusion::encode_prompt(const std::string& prompt, const Weights& weights,
                                          std::int64_t channels, const fs::path& directory,
                                          FileHashes& hashes) const {
  const TextEncoderConfig config = read_text_encoder_config(weights.folder() / "config.json");
  if (config.channels != channels) {
    throw DataError(concat("prior: the text encoder in ", weights.folder().string(), " makes embeddings of ",
                           config.channels, " channels (its hidden_size), but the U-Net in ",
                           directory.string(), " needs ", channels,
                           " (its cross_attention_dim); take both from one model"));
  }
  // Run once, so that half precision would save nothing.
  return dwgf::encode_prompt(directory, config, weights, prompt, options_, hashes);
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
  const auto type = options_.dtype().toScalarType();
  const at::Tensor prediction = unet_->forward(z_t.to(unet_type_), time).to(type);  // [B, c, h, w]
  if (schedule_.prediction() == PredictionType::epsilon) return prediction;
  return prediction.mul(schedule_.signal(time))
      .add(z_t, schedule_.noise(time));  // arXiv 2202.00512, appendix D
}

void StableDiffusion::check_latents(const at::Tensor& z_t, std::int64_t time) const {
  if (!unet_) throw InternalError("prior: predict_noise() of a prior that was loaded without its U-Net");
  check(z_t, geometry_.latent_channels, "latents");
  schedule_.alpha_bar(time);  // refuses a time outside the schedule
}

at::Tensor StableDiffusion::predict_noise(const at::Tensor& z_t, std::int64_t time) const {
  check_latents(z_t, time);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(unet_tf32_, options_.device());
  return noise_from_prediction(z_t, time);
}

PredictedNoise StableDiffusion::predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const {
  check_latents(z_t, time);
  const ScopedTf32 multiplication(unet_tf32_, options_.device());
  auto [noise, pull_back] =
      differentiate([&](const at::Tensor& z) { return noise_from_prediction(z, time); }, z_t);
  return {noise, in_tf32(within_range(std::move(pull_back), unet_type_), unet_tf32_, options_.device())};
}

at::Tensor StableDiffusion::to_autoencoder(const at::Tensor& z) const {
  if (!autoencoder_)
    throw InternalError("prior: decode() of a prior that was loaded without its autoencoder");
  check(z, geometry_.latent_channels, "latents");
  const at::Tensor scaled = z / autoencoder_config_.scaling_factor;
  return (autoencoder_config_.shift_factor == 0.0 ? scaled : scaled + autoencoder_config_.shift_factor)
      .to(autoencoder_type_);
}

at::Tensor StableDiffusion::decode(const at::Tensor& z) const {
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(autoencoder_tf32_, options_.device());
  return autoencoder_->decode(to_autoencoder(z)).to(options_.dtype().toScalarType());
}

DecodedImage StableDiffusion::decode_with_pull_back(const at::Tensor& z) const {
  const auto type = options_.dtype().toScalarType();
  const ScopedTf32 multiplication(autoencoder_tf32_, options_.device());
  auto [x, pull_back] = differentiate_decoder(autoencoder_->decoder_stages(), to_autoencoder(z.detach()),
                                              gradient_for(z.size(0), z.size(2), z.size(3)));
  const auto to_latents = [type, network = autoencoder_type_, scale = autoencoder_config_.scaling_factor,
                           pull_back = std::move(pull_back)](const at::Tensor& cotangent) {
    return pull_back(cotangent.to(network)).to(type) / scale;
  };
  return {x.to(type),
          in_tf32(within_range(to_latents, autoencoder_type_), autoencoder_tf32_, options_.device())};
}

DecoderGradient StableDiffusion::gradient_for(std::int64_t batch, std::int64_t height,
                                              std::int64_t width) const {
  if (decoder_gradient_) return *decoder_gradient_;
  const CallSize size{batch, height, width, c10::elementSize(autoencoder_type_)};
  const GradientBytes plain = decoder_gradient_bytes(autoencoder_config_, DecoderGradient::plain, size);
  return plain.peak > kPlainGradientBytes ? DecoderGradient::recompute : DecoderGradient::plain;
}

std::vector<std::string> StableDiffusion::warnings() const {
  std::vector<std::string> warnings =
      published_model_warnings(unet_config_, autoencoder_config_, schedule_.config());
  for (const auto& [network, type] : {std::pair("U-Net", unet_type_), {"autoencoder", autoencoder_type_}}) {
    if (type == at::kHalf && options_.device().is_cpu()) {
      warnings.push_back(
          concat("the ", network,
                 " computes in fp16, which is slow on CPUs (20 times slower than "
                 "fp32 where it was measured: most have no arithmetic for it); bf16 or fp32 is "
                 "faster"));
    }
  }
  if (!unet_) return warnings;
  // A fixed noise, of a size that costs little; the networks take any.
  const std::int64_t size =
      unet_config_.sample_size > 0 ? std::min<std::int64_t>(unet_config_.sample_size, 32) : 32;
  const std::int64_t last = schedule_.train_steps() - 1;
  at::Tensor noise = at::empty({1, geometry_.latent_channels, size, size}, at::kFloat);
  fill_normals({}, {noise.data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
  noise = noise.to(options_);
  const at::NoGradGuard no_grad;
  const at::Tensor prediction =
      unet_->forward(noise.to(unet_type_), last).to(options_);  // [1, c, size, size]
  const double correlation = ((noise * prediction).sum() / (noise.norm() * prediction.norm())).item<double>();
  if (auto warning = prediction_warning(schedule_.prediction(), correlation, schedule_.noise(last)))
    warnings.push_back(std::move(*warning));
  return warnings;
}

std::optional<std::uint64_t> StableDiffusion::step_bytes(std::int64_t batch, std::int64_t latent_height,
                                                         std::int64_t latent_width) const {
  const CallSize unet{batch, latent_height, latent_width, c10::elementSize(unet_type_)};
  const CallSize codec{batch, latent_height, latent_width, c10::elementSize(autoencoder_type_)};
  const GradientBytes gradient =
      decoder_gradient_bytes(autoencoder_config_, gradient_for(batch, latent_height, latent_width), codec);
  // The decoder's gradient waits while the consistency term encodes and decodes.
  const std::uint64_t consistency = gradient.kept + std::max(encoder_bytes(autoencoder_config_, codec),
                                                             decoder_bytes(autoencoder_config_, codec));
  return std::max({unet_bytes(unet_config_, unet), gradient.peak, consistency});
}

void StableDiffusion::check_images(const at::Tensor& x) const {
  if (!has_encoder_ || !autoencoder_)
    throw InternalError("prior: encode() of a prior that was loaded without its encoder");
  check(x, geometry_.image_channels, "images");
  if (x.size(2) % geometry_.factor != 0 || x.size(3) % geometry_.factor != 0) {
    throw DataError(concat("prior: an image of ", x.size(2), " x ", x.size(3),
                           " pixels; this prior takes multiples of ", geometry_.factor,
                           " in both directions: crop or pad it"));
  }
}

LatentDistribution StableDiffusion::encode(const at::Tensor& x) const {
  check_images(x);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(autoencoder_tf32_, options_.device());
  auto [mean, log_variance] = autoencoder_->encode(x.to(autoencoder_type_));  // [B, c, h, w] each
  mean = mean.to(x.scalar_type());
  log_variance = log_variance.to(x.scalar_type());
  const double scale = autoencoder_config_.scaling_factor;
  return {(mean - autoencoder_config_.shift_factor).mul_(scale), log_variance.mul_(0.5).exp_().mul_(scale)};
}

EncodedImage StableDiffusion::encode_with_pull_back(const at::Tensor& x) const {
  check_images(x);
  const ScopedTf32 multiplication(autoencoder_tf32_, options_.device());
  auto [mean, pull_back] = differentiate(
      [&](const at::Tensor& image) {
        const at::Tensor own = autoencoder_->encode(image.to(autoencoder_type_)).mean;  // [B, c, h, w]
        return (own.to(image.scalar_type()) - autoencoder_config_.shift_factor) *
               autoencoder_config_.scaling_factor;
      },
      x);
  return {mean, in_tf32(within_range(std::move(pull_back), autoencoder_type_), autoencoder_tf32_,
                        options_.device())};
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
    auto prior = std::make_unique<StableDiffusion>(directory, options);
    const auto in_float = [directory, options, sha256 = prior->sha256()](bool unet) {
      StableDiffusionOptions wide = options;
      wide.unet_type = wide.autoencoder_type = options.dtype;
      wide.need_unet = unet;
      wide.need_autoencoder = !unet;
      wide.unet_tf32 = wide.autoencoder_tf32 = false;
      return require_same_weights(load_stable_diffusion(directory, wide), sha256, directory);
    };
    FloatNetworks again;
    if (options.need_unet && is_half(options.unet_type.value_or(options.dtype)))
      again.denoiser = [in_float] { return in_float(true); };
    if (options.need_autoencoder && is_half(options.autoencoder_type.value_or(options.dtype)))
      again.codec = [in_float] { return in_float(false); };
    if (!again.denoiser && !again.codec) return prior;
    return redo_in_float(std::move(prior), std::move(again));
  });
}

}  // namespace dwgf
