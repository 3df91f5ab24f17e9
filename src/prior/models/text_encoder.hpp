/// The text encoder of Stable Diffusion 1.x and 2.x, transformers' CLIPTextModel (5.23.0, models/clip): a
/// prompt as the embedding that the U-Net attends to. Radford et al., arXiv 2103.00020, section 2.4.
///
/// Shapes: T tokens, C channels (hidden_size).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/files/weights.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

struct TextEncoderConfig {
  std::int64_t vocabulary = 49408;
  std::int64_t channels = 512;  ///< C
  std::int64_t feed_forward_channels = 2048;
  std::int64_t layers = 12;
  std::int64_t heads = 8;
  std::int64_t positions = 77;  ///< the most tokens
  bool quick_gelu = true;       ///< x sigmoid(1.702 x), not x Phi(x)
};

/// text_encoder/config.json. Throws NotFoundError where there is no such file, DataError naming file, key,
/// what was found and what is allowed. Guaranteed of what comes back: positive sizes within bounds, heads
/// that divide the channels.
TextEncoderConfig read_text_encoder_config(const std::filesystem::path& file);

/// The parameter that a stored name belongs to: names come with and without a leading "text_model.".
std::optional<std::string> text_encoder_parameter(const std::string& stored_name);

class TextEncoderLayer;

class TextEncoder : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model. @pre `config` satisfies what read_text_encoder_config
  /// guarantees.
  TextEncoder(const TextEncoderConfig& config, const at::TensorOptions& options);

  /// Tokens [1, T] int64, each within the vocabulary, T <= positions -> last_hidden_state [1, T, C]
  at::Tensor forward(const at::Tensor& tokens) const;

 private:
  at::Tensor token_embedding_;     // [vocabulary, C]
  at::Tensor position_embedding_;  // [positions, C]
  std::shared_ptr<ModuleVector<TextEncoderLayer>> layers_;
  std::shared_ptr<LayerNorm> final_norm_;
};

/// The embedding [1, T, C] of a prompt by the text_encoder/ and the tokenizer/ of a diffusers directory, T
/// the tokenizer's model_max_length; a longer prompt is cut short there, as in diffusers. The encoder is
/// loaded, run once, and freed. Throws what reading either throws; DataError too where the two do not belong
/// together, UsageError where the prompt is not UTF-8.
at::Tensor encode_prompt(const std::filesystem::path& directory, const TextEncoderConfig& config,
                         const Weights& weights, const std::string& prompt, const at::TensorOptions& options,
                         FileHashes& hashes);

}  // namespace dwgf
