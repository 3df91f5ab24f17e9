#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/families/codec_files.hpp"
#include "prior/families/diffusion_path.hpp"
#include "prior/families/published_models.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/weights.hpp"
#include "prior/models/memory.hpp"
#include "prior/models/prompt_encoder.hpp"
#include "prior/models/unet_denoiser.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// What a directory says of itself, and how it is to be loaded.
class Loader {
 public:
  Loader(const fs::path& directory, const PriorOptions& options);
  std::unique_ptr<Prior> load() const;

 private:
  Conditioning conditioning(PromptEncoder* text, FileHashes& hashes) const;
  std::shared_ptr<const Denoiser> denoiser(const Weights& weights, FileHashes& hashes,
                                           std::shared_ptr<Fp32Retries> retries) const;
  std::vector<std::string> warnings() const;

  fs::path directory_;
  PriorOptions options_;
  at::TensorOptions tensors_;
  NetworkPrecision unet_precision_;
  DiffusionPath path_;
  CodecFiles codec_;
  UNetConfig unet_;
  bool has_text_encoder_;
};

Loader::Loader(const fs::path& directory, const PriorOptions& options)
    : directory_(directory),
      options_(options),
      tensors_(at::TensorOptions(options.dtype).device(options.device)),
      unet_precision_{options.unet_type.value_or(options.dtype), options.unet_tf32},
      path_(read_diffusion_path(directory / "scheduler" / "scheduler_config.json", options)),
      codec_(directory, options),
      unet_(read_unet_config(directory / "unet" / "config.json")) {
  if (const std::int64_t channels = codec_.geometry().latent_channels; unet_.latent_channels != channels) {
    throw DataError(
        "prior: the U-Net in {} works on {} latent channels but its autoencoder on {}; take both from one "
        "model",
        directory.string(), unet_.latent_channels, channels);
  }
  has_text_encoder_ = has_text_encoder(directory, "");
  if (!options.prompt.empty() && options.context.defined())
    throw UsageError("prior: a prompt and a prompt's embedding were given; give one of them");
  if (!options.prompt.empty() && !has_text_encoder_) {
    throw NotFoundError(
        "prior: there is no folder {}, so the prompt cannot be encoded; fetch text_encoder/ and tokenizer/ "
        "too, give the prompt's embedding, or leave the prompt out",
        (directory / "text_encoder").string());
  }
}

Conditioning Loader::conditioning(PromptEncoder* text, FileHashes& hashes) const {
  const std::int64_t channels = unet_.context_channels;
  at::Tensor context = options_.context;
  if (text) {
    if (text->config().channels != channels) {
      throw DataError(
          "prior: the text encoder in {} makes embeddings of {} channels (its hidden_size), but the U-Net in "
          "{} needs {} (its cross_attention_dim); take both from one model",
          text->weights().folder().string(), text->config().channels, directory_.string(), channels);
    }
    // Run once, so that half precision would save nothing.
    context = text->encode(options_.prompt, hashes).last;
  }
  if (!context.defined()) return {.tokens = at::zeros({1, 1, channels}, tensors_)};
  if (context.dim() != 3 || context.size(0) != 1 || context.size(1) < 1 || context.size(2) != channels) {
    throw DataError(
        "prior: the prompt's embedding has the shape {}, but the U-Net in {} needs [1, tokens, {}]: it was "
        "made by another model's text encoder",
        context.sizes(), directory_.string(), channels);
  }
  return {.tokens = context.detach().to(options_.device)};
}

std::shared_ptr<const Denoiser> Loader::denoiser(const Weights& weights, FileHashes& hashes,
                                                 std::shared_ptr<Fp32Retries> retries) const {
  return load_half<Denoiser>(
      weights, unet_precision_, options_.dtype, hashes, std::move(retries),
      [config = unet_, prediction = path_.schedule.config().prediction, tensors = tensors_](
          const Weights& stored, NetworkPrecision precision, FileHashes& seen) {
        auto unet = load_model<UNet>(config, stored, same_name, tensors.dtype(precision.type), seen);
        return std::make_shared<UNetDenoiser>(std::move(unet), config, prediction, tensors, precision);
      });
}

std::vector<std::string> Loader::warnings() const {
  std::vector<std::string> warnings =
      published_model_warnings(unet_, codec_.own_config(), path_.schedule.config());
  if (unet_precision_.type == at::kHalf && options_.device.is_cpu())
    warnings.push_back(slow_precision_warning("U-Net"));
  std::ranges::copy(codec_.warnings(), std::back_inserter(warnings));
  return warnings;
}

/// Shows the denoiser pure noise at its last time.
std::optional<std::string> probe(const Denoiser& denoiser, const Conditioning& conditioning,
                                 const UNetConfig& config, const DiffusionPath& path,
                                 const at::TensorOptions& tensors) {
  // A fixed noise, of a size that costs little; the networks take any.
  const std::int64_t size = config.sample_size > 0 ? std::min<std::int64_t>(config.sample_size, 32) : 32;
  at::Tensor noise = at::empty({1, config.latent_channels, size, size}, at::kFloat);
  fill_normals({}, {noise.data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
  noise = noise.to(tensors);
  const PredictionType claimed = path.schedule.config().prediction;
  if (claimed == PredictionType::sample) return std::nullopt;
  const Level last = path.path->first();
  const at::Tensor eps = denoiser.noise(noise, last, conditioning);  // [1, c, size, size]
  // What the network itself predicts: v where it claims so.
  const at::Tensor prediction =
      claimed == PredictionType::epsilon ? eps : (eps - noise * last.noise) / last.signal;
  const double correlation = ((noise * prediction).sum() / (noise.norm() * prediction.norm())).item<double>();
  return prediction_warning(claimed, correlation, last.noise);
}

std::unique_ptr<Prior> Loader::load() const {
  FileHashes hashes;
  const Weights unet_weights(directory_ / "unet", kWeightsStem);
  const std::vector<Weights> codec_weights = codec_.open();
  std::vector<const Weights*> all_weights = {&unet_weights};
  for (const Weights& weights : codec_weights) all_weights.push_back(&weights);
  std::unique_ptr<PromptEncoder> text;
  if (!options_.context.defined() && has_text_encoder_) {
    text = std::make_unique<PromptEncoder>(directory_, "", tensors_);
    all_weights.push_back(&text->weights());
  }

  auto prior = std::make_unique<Prior>();
  prior->path = path_.path;
  prior->few_steps = path_.few_steps;
  prior->conditioning = conditioning(text.get(), hashes);
  prior->denoiser = denoiser(unet_weights, hashes, prior->retries);
  codec_.load_into(*prior, codec_weights, hashes);
  prior->options = tensors_;
  prior->sha256 = sha256(all_weights, hashes);
  prior->warnings = warnings();
  prior->probe = [denoiser = prior->denoiser, conditioning = prior->conditioning, config = unet_,
                  path = path_,
                  tensors = tensors_] { return probe(*denoiser, conditioning, config, path, tensors); };
  prior->step_bytes = [unet = unet_, codec = codec_, element = c10::elementSize(unet_precision_.type)](
                          std::int64_t batch, std::int64_t height, std::int64_t width) {
    return std::max(unet_bytes(unet, {batch, height, width, element}),
                    codec.step_bytes(batch, height, width));
  };
  return prior;
}

}  // namespace

bool is_stable_diffusion(const std::string& directory) {
  std::error_code ignored;
  return fs::is_directory(directory, ignored);
}

std::unique_ptr<Prior> load_stable_diffusion(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] {
    if (!is_stable_diffusion(directory)) {
      throw NotFoundError(
          "prior: no such directory: {}; name a diffusers directory with unet/, vae/ and scheduler/",
          directory);
    }
    return Loader(directory, options).load();
  });
}

}  // namespace dwgf
