#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion_3.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

#include "prior/families/codec_files.hpp"
#include "prior/families/prompts.hpp"
#include "prior/families/published_models.hpp"
#include "prior/files/config_file.hpp"
#include "prior/files/flow_scheduler_config.hpp"
#include "prior/files/loading.hpp"
#include "prior/models/memory.hpp"
#include "prior/models/prompt_encoder.hpp"
#include "prior/models/velocity_denoiser.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kClipTokens = 77;
constexpr std::int64_t kT5Tokens = 256;  // the pipeline's max_sequence_length

/// Both CLIPs: zeros stand for the third encoder.
class TwoEncoders final : public TwoPromptEncoders {
 public:
  TwoEncoders(PromptEncoder first, PromptEncoder second, std::int64_t channels,
              const at::TensorOptions& tensors)
      : TwoPromptEncoders(std::move(first), std::move(second)), channels_(channels), tensors_(tensors) {}

  Conditioning read(const std::string& prompt, FileHashes& hashes) override {
    const EncodedPrompt one = first_.encode(prompt, hashes), two = second_.encode(prompt, hashes);
    const at::Tensor clip = joined_penultimate(one, two);                              // [1, 77, C1 + C2]
    const at::Tensor wide = at::constant_pad_nd(clip, {0, channels_ - clip.size(2)});  // [1, 77, C]
    return {.tokens = at::cat({wide, at::zeros({1, kT5Tokens, channels_}, tensors_)}, 1),
            .pooled = at::cat({one.pooled, two.pooled}, 1)};
  }

 private:
  std::int64_t channels_;
  at::TensorOptions tensors_;
};

/// What a directory says of itself, and how it is to be loaded.
class Loader {
 public:
  Loader(const fs::path& directory, const PriorOptions& options);
  std::unique_ptr<Prior> load() const;

 private:
  void check() const;
  Conditioning without_prompt() const;
  std::shared_ptr<PromptReader> prompt_reader() const;
  std::shared_ptr<const Denoiser> denoiser(const Weights& weights, FileHashes& hashes,
                                           std::shared_ptr<Fp32Retries> retries) const;
  std::vector<std::string> warnings(bool reads_prompts) const;

  fs::path directory_;
  PriorOptions options_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
  FlowMatchingPath path_;
  CodecFiles codec_;
  JointTransformerConfig transformer_;
};

Loader::Loader(const fs::path& directory, const PriorOptions& options)
    : directory_(directory),
      options_(options),
      tensors_(at::TensorOptions(options.dtype).device(options.device)),
      precision_{options.unet_type.value_or(options.dtype), options.unet_tf32},
      path_(read_flow_scheduler_config(directory / "scheduler" / "scheduler_config.json")),
      codec_(directory, options),
      transformer_(read_joint_transformer_config(directory / "transformer" / "config.json")) {
  check();
}

void Loader::check() const {
  if (const std::int64_t channels = codec_.geometry().latent_channels;
      transformer_.latent_channels != channels) {
    throw DataError(
        "prior: the transformer in {} works on {} latent channels but its autoencoder on {}; take both from "
        "one model",
        directory_.string(), transformer_.latent_channels, channels);
  }
  if (!options_.prompt.empty() && options_.context.defined())
    throw UsageError("prior: a prompt and a prompt's embedding were given; give one of them");
}

/// Without text encoders: an embedding from elsewhere, or as in training where the text was left out.
Conditioning Loader::without_prompt() const {
  const std::int64_t channels = transformer_.context_channels;
  Conditioning conditioning{.tokens = options_.context.defined()
                                          ? options_.context.detach().to(options_.device)
                                          : at::zeros({1, kClipTokens + kT5Tokens, channels}, tensors_),
                            .pooled = at::zeros({1, transformer_.pooled_channels}, tensors_)};
  const at::Tensor& tokens = conditioning.tokens;
  if (tokens.dim() != 3 || tokens.size(0) != 1 || tokens.size(1) < 1 || tokens.size(2) != channels) {
    throw DataError(
        "prior: the prompt's embedding has the shape {}, but the transformer in {} needs [1, tokens, {}]: it "
        "was made by another model's text encoder",
        tokens.sizes(), directory_.string(), channels);
  }
  return conditioning;
}

std::shared_ptr<PromptReader> Loader::prompt_reader() const {
  if (options_.context.defined()) return nullptr;
  const bool has_first = has_text_encoder(directory_, ""), has_second = has_text_encoder(directory_, "_2");
  if (!has_first && !has_second && options_.prompt.empty()) return nullptr;
  if (!has_first || !has_second) {
    throw NotFoundError(
        "prior: there is no folder {}, so the prompt cannot be encoded; fetch text_encoder/, "
        "text_encoder_2/, tokenizer/ and tokenizer_2/ too (text_encoder_3/ is not needed), or give the "
        "prompt's embedding",
        (directory_ / (has_first ? "text_encoder_2" : "text_encoder")).string());
  }
  PromptEncoder first(directory_, "", tensors_), second(directory_, "_2", tensors_);
  const TextEncoderConfig &one = first.config(), &two = second.config();
  if (one.channels + two.channels > transformer_.context_channels) {
    throw DataError(
        "prior: the text encoders in {} make embeddings of {} and {} channels (their hidden_size), more than "
        "the {} of its transformer (its joint_attention_dim); take all from one model",
        directory_.string(), one.channels, two.channels, transformer_.context_channels);
  }
  if (one.projection == 0 || two.projection == 0 ||
      one.projection + two.projection != transformer_.pooled_channels) {
    throw DataError(
        "prior: the text encoders in {} project to {} and {} channels (their projection_dim; 0: none), but "
        "its transformer needs {} together (its pooled_projection_dim); take all from one model",
        directory_.string(), one.projection, two.projection, transformer_.pooled_channels);
  }
  return std::make_shared<TwoEncoders>(std::move(first), std::move(second), transformer_.context_channels,
                                       tensors_);
}

std::shared_ptr<const Denoiser> Loader::denoiser(const Weights& weights, FileHashes& hashes,
                                                 std::shared_ptr<Fp32Retries> retries) const {
  return load_half<Denoiser>(
      weights, precision_, options_.dtype, hashes, std::move(retries),
      [config = transformer_, tensors = tensors_](const Weights& stored, NetworkPrecision precision,
                                                  FileHashes& seen) {
        auto network =
            load_model<JointTransformer>(config, stored, same_name, tensors.dtype(precision.type), seen);
        return std::make_shared<VelocityDenoiser>(std::move(network), config, tensors, precision);
      });
}

std::vector<std::string> Loader::warnings(bool reads_prompts) const {
  std::vector<std::string> warnings =
      published_model_warnings(transformer_, codec_.own_config(), path_.config());
  std::ranges::copy(codec_.warnings(), std::back_inserter(warnings));
  if (precision_.type == at::kHalf && options_.device.is_cpu())
    warnings.push_back(slow_precision_warning("transformer"));
  if (options_.context.defined()) {
    warnings.push_back(
        "an embedding was given of the prompt's tokens alone; of the prompt as a whole the transformer is "
        "told zeros");
  } else if (!reads_prompts) {
    warnings.push_back(formatted(
        "{} has no text_encoder/: the transformer is told zeros in place of a prompt, not the empty prompt",
        directory_.string()));
  }
  return warnings;
}

std::unique_ptr<Prior> Loader::load() const {
  FileHashes hashes;
  const Weights transformer_weights(directory_ / "transformer", kWeightsStem);
  const std::vector<Weights> codec_weights = codec_.open();
  std::vector<const Weights*> all_weights = {&transformer_weights};
  for (const Weights& weights : codec_weights) all_weights.push_back(&weights);

  const std::shared_ptr<PromptReader> reader = prompt_reader();
  if (reader) std::ranges::copy(reader->weights(), std::back_inserter(all_weights));

  auto prior = std::make_unique<Prior>();
  prior->path = std::make_shared<FlowMatchingPath>(path_);
  prior->warnings = warnings(reader != nullptr);
  set_conditioning(*prior, reader,
                   {.fixed = without_prompt(),
                    .guidance = options_.guidance,
                    .prompt = options_.prompt,
                    .negative = options_.negative_prompt},
                   hashes);
  prior->denoiser = denoiser(transformer_weights, hashes, prior->retries);
  codec_.load_into(*prior, codec_weights, hashes);
  prior->geometry.patch = transformer_.patch;
  prior->geometry.largest = transformer_.patch * transformer_.positions;
  prior->geometry.trained = transformer_.sample_size;
  prior->options = tensors_;
  prior->sha256 = sha256(all_weights, hashes);
  prior->step_bytes = [transformer = transformer_, codec = codec_,
                       element = c10::elementSize(precision_.type),
                       tokens = prior->conditioning.tokens.size(1)](std::int64_t batch, std::int64_t height,
                                                                    std::int64_t width) {
    return std::max(joint_transformer_bytes(transformer, {batch, height, width, element}, tokens),
                    codec.step_bytes(batch, height, width));
  };
  return prior;
}

}  // namespace

bool is_stable_diffusion_3(const std::string& directory) {
  return config_class(fs::path(directory) / "transformer" / "config.json") == "SD3Transformer2DModel";
}

std::unique_ptr<Prior> load_stable_diffusion_3(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] { return Loader(directory, options).load(); });
}

}  // namespace dwgf
