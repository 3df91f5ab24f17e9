#include <filesystem>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion_xl.hpp>

#include "prior/families/latent_diffusion.hpp"
#include "prior/files/json_file.hpp"
#include "prior/files/loading.hpp"
#include "prior/models/prompt_encoder.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// What the directory says of its pipeline.
struct Pipeline {
  bool empty_is_zeros = true;
};

/// Pipelines of many classes are described alike, so that the class is not looked at.
Pipeline read_pipeline(const fs::path& directory) {
  const fs::path path = directory / "model_index.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  const nlohmann::json content = read_json_object(path);
  const auto said = [&](const char* key, bool missing) {
    const auto found = content.find(key);
    if (found == content.end() || found->is_null()) return missing;
    if (found->is_boolean()) return found->get<bool>();
    throw DataError("prior: {}: '{}' is {}; supported: true or false", path.string(), key, brief(*found));
  };
  if (said("requires_aesthetics_score", false)) {
    throw DataError(
        "prior: {} is the refiner of Stable Diffusion XL, which serves the last steps of the base model; "
        "name "
        "the base model's directory",
        path.string());
  }
  return {.empty_is_zeros = said("force_zeros_for_empty_prompt", true)};
}

/// Both text encoders.
class TwoEncoders final : public TwoPromptEncoders {
 public:
  TwoEncoders(PromptEncoder first, PromptEncoder second, const at::TensorOptions& tensors,
              bool empty_is_zeros)
      : TwoPromptEncoders(std::move(first), std::move(second)),
        tensors_(tensors),
        empty_is_zeros_(empty_is_zeros) {}

  Conditioning read(const std::string& prompt, FileHashes& hashes) override {
    if (prompt.empty() && empty_is_zeros_) {
      const std::int64_t channels = first_.config().channels + second_.config().channels;
      return {.tokens = at::zeros({1, first_.length(), channels}, tensors_),
              .pooled = at::zeros({1, second_.config().projection}, tensors_)};
    }
    const EncodedPrompt first = first_.encode(prompt, hashes), second = second_.encode(prompt, hashes);
    return {.tokens = joined_penultimate(first, second), .pooled = second.pooled};
  }

 private:
  at::TensorOptions tensors_;
  bool empty_is_zeros_;
};

/// Throws DataError unless the second encoder's projection is what the U-Net is told.
void require_pooled_channels(const PromptEncoder& second, const LatentDiffusion& model) {
  const std::int64_t made = second.config().projection, needed = model.unet().pooled_channels;
  const std::string folder = second.weights().folder().string();
  if (made == 0) {
    throw DataError(
        "prior: {}/config.json does not describe a CLIPTextModelWithProjection (its architectures), but the "
        "U-Net in {} is told the projection of a prompt; fetch the folder again, of the same model",
        folder, model.directory().string());
  }
  if (made == needed) return;
  throw DataError(
      "prior: the text encoder in {} projects a prompt to {} channels (its projection_dim), but the U-Net in "
      "{} needs {} (projection_class_embeddings_input_dim without the sizes'); take both from one model",
      folder, made, model.directory().string(), needed);
}

std::shared_ptr<PromptReader> prompt_reader(const LatentDiffusion& model, const Pipeline& pipeline) {
  const fs::path& directory = model.directory();
  if (model.options().context.defined()) return nullptr;
  const bool first = has_text_encoder(directory, ""), second = has_text_encoder(directory, "_2");
  if (!first || !second) {
    if (!first && !second && model.options().prompt.empty() && pipeline.empty_is_zeros) return nullptr;
    throw NotFoundError(
        "prior: there is no folder {}, but this model's prompts are read by two text encoders; fetch "
        "text_encoder/, tokenizer/, text_encoder_2/ and tokenizer_2/ too",
        (directory / (first ? "text_encoder_2" : "text_encoder")).string());
  }
  PromptEncoder one(directory, "", model.tensors()), two(directory, "_2", model.tensors());
  require_context_channels(
      one.config().channels + two.config().channels,
      formatted("{} with that in {}", one.weights().folder().string(), two.weights().folder().string()),
      model);
  require_pooled_channels(two, model);
  return std::make_shared<TwoEncoders>(std::move(one), std::move(two), model.tensors(),
                                       pipeline.empty_is_zeros);
}

}  // namespace

bool is_stable_diffusion_xl(const std::string& directory) {
  const fs::path config = fs::path(directory) / "unet" / "config.json";
  std::error_code ignored;
  if (!fs::exists(config, ignored)) return false;
  const nlohmann::json content = read_json_object(config);
  const auto added = content.find("addition_embed_type");
  return added != content.end() && *added == "text_time";
}

std::unique_ptr<Prior> load_stable_diffusion_xl(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] {
    const LatentDiffusion model(directory, options, /*upcasts=*/true);
    return model.load(prompt_reader(model, read_pipeline(directory)));
  });
}

}  // namespace dwgf
