#include "prior/families/latent_diffusion.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "prior/families/published_models.hpp"
#include "prior/files/loading.hpp"
#include "prior/models/memory.hpp"
#include "prior/models/unet_denoiser.hpp"

namespace dwgf {

LatentDiffusion::LatentDiffusion(const std::filesystem::path& directory, const PriorOptions& options,
                                 bool upcasts)
    : directory_(directory),
      options_(options),
      tensors_(at::TensorOptions(options.dtype).device(options.device)),
      unet_precision_{options.unet_type.value_or(options.dtype), options.unet_tf32},
      path_(read_diffusion_path(directory / "scheduler" / "scheduler_config.json", options)),
      codec_(directory, options, upcasts),
      unet_(read_unet_config(directory / "unet" / "config.json")) {
  if (const std::int64_t channels = codec_.geometry().latent_channels; unet_.latent_channels != channels) {
    throw DataError(
        "prior: the U-Net in {} works on {} latent channels but its autoencoder on {}; take both from one "
        "model",
        directory.string(), unet_.latent_channels, channels);
  }
  if (!options.prompt.empty() && options.context.defined())
    throw UsageError("prior: a prompt and a prompt's embedding were given; give one of them");
}

Conditioning LatentDiffusion::without_prompt() const {
  const at::Tensor& context = options_.context;
  const std::int64_t channels = unet_.context_channels;
  Conditioning given;
  if (unet_.pooled_channels > 0) given.pooled = at::zeros({1, unet_.pooled_channels}, tensors_);
  if (!context.defined()) {
    given.tokens = at::zeros({1, 1, channels}, tensors_);
    return given;
  }
  if (context.dim() != 3 || context.size(0) != 1 || context.size(1) < 1 || context.size(2) != channels) {
    throw DataError(
        "prior: the prompt's embedding has the shape {}, but the U-Net in {} needs [1, tokens, {}]: it was "
        "made by another model's text encoder",
        context.sizes(), directory_.string(), channels);
  }
  given.tokens = context.detach().to(options_.device);
  return given;
}

std::shared_ptr<const Denoiser> LatentDiffusion::denoiser(const Weights& weights, FileHashes& hashes,
                                                          std::shared_ptr<Fp32Retries> retries) const {
  return load_half<Denoiser>(weights, unet_precision_, options_.dtype, hashes, std::move(retries),
                             [config = unet_, prediction = path_.schedule.config().prediction,
                              tensors = tensors_, factor = codec_.geometry().factor](
                                 const Weights& stored, NetworkPrecision precision, FileHashes& seen) {
                               auto unet = load_model<UNet>(config, stored, same_name,
                                                            tensors.dtype(precision.type), seen);
                               return std::make_shared<UNetDenoiser>(std::move(unet), config, prediction,
                                                                     tensors, precision, factor);
                             });
}

Conditioned LatentDiffusion::conditioned() const {
  Conditioned job{.fixed = without_prompt(),
                  .guidance = options_.guidance,
                  .prompt = options_.prompt,
                  .negative = options_.negative_prompt,
                  .is_told_guidance = unet_.guidance_channels > 0};
  if (unet_.size_channels == 0) return job;
  job.add_sizes = [geometry = codec_.geometry(), device = options_.device](
                      Conditioning& given, std::int64_t height, std::int64_t width) {
    const Canvas canvas = geometry.canvas(height, width);
    given.sizes = at::tensor(at::ArrayRef<std::int64_t>({height, width, 0, 0, canvas.height, canvas.width}),
                             at::kFloat)
                      .unsqueeze(0)
                      .to(device);  // [1, kSizes]
  };
  return job;
}

std::vector<std::string> LatentDiffusion::warnings() const {
  std::vector<std::string> warnings =
      published_model_warnings(unet_, codec_.own_config(), path_.schedule.config());
  if (unet_precision_.type == at::kHalf && options_.device.is_cpu())
    warnings.push_back(slow_precision_warning("U-Net"));
  std::ranges::copy(codec_.warnings(), std::back_inserter(warnings));
  if (unet_.guidance_channels > 0 && options_.guidance == 1.0) {
    warnings.emplace_back(
        "the U-Net was distilled with guidance and is told how much (time_cond_proj_dim), as a rule of 2 to "
        "14 "
        "in its training, and prior.guidance = 1 is none; 8 is usual");
  }
  if (options_.context.defined() && unet_.pooled_channels > 0) {
    warnings.emplace_back(
        "the U-Net is told a prompt twice, by its tokens and as a whole, and prior.context gives the tokens "
        "alone: the other is zeros, as of an empty prompt");
  }
  return warnings;
}

namespace {

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

}  // namespace

std::unique_ptr<Prior> LatentDiffusion::load(std::shared_ptr<PromptReader> reader) const {
  FileHashes hashes;
  const Weights unet_weights(directory_ / "unet", kWeightsStem);
  const std::vector<Weights> codec_weights = codec_.open();
  std::vector<const Weights*> all_weights = {&unet_weights};
  for (const Weights& weights : codec_weights) all_weights.push_back(&weights);
  if (reader) std::ranges::copy(reader->weights(), std::back_inserter(all_weights));

  auto prior = std::make_unique<Prior>();
  prior->path = path_.path;
  prior->few_steps = path_.few_steps;
  prior->warnings = warnings();
  set_conditioning(*prior, reader, conditioned(), hashes);
  prior->denoiser = denoiser(unet_weights, hashes, prior->retries);
  codec_.load_into(*prior, codec_weights, hashes);
  prior->geometry.trained = unet_.sample_size;
  prior->options = tensors_;
  prior->sha256 = sha256(all_weights, hashes);
  prior->probe = [denoiser = prior->denoiser, conditioning = prior->conditioning, config = unet_,
                  path = path_,
                  tensors = tensors_] { return probe(*denoiser, conditioning, config, path, tensors); };
  const std::int64_t contexts = prior->conditioning.unconditional ? 2 : 1;
  prior->step_bytes = [unet = unet_, codec = codec_, contexts,
                       element = c10::elementSize(unet_precision_.type)](
                          std::int64_t batch, std::int64_t height, std::int64_t width) {
    return std::max(unet_bytes(unet, {contexts * batch, height, width, element}),
                    codec.step_bytes(batch, height, width));
  };
  return prior;
}

void require_context_channels(std::int64_t made, const std::string& folders, const LatentDiffusion& model) {
  if (made == model.unet().context_channels) return;
  throw DataError(
      "prior: the text encoder in {} makes embeddings of {} channels (its hidden_size), but the U-Net in {} "
      "needs {} (its cross_attention_dim); take both from one model",
      folders, made, model.directory().string(), model.unet().context_channels);
}

}  // namespace dwgf
