/// The text encoders of Stable Diffusion, transformers' CLIPTextModel and CLIPTextModelWithProjection
/// (5.23.0, models/clip): a prompt's tokens as the embeddings that a denoiser is conditioned on. Radford et
/// al., arXiv 2103.00020, section 2.4.
///
/// Shapes: T tokens, C channels (hidden_size), P channels of the projection (projection_dim).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

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
  std::int64_t projection = 0;  ///< P; 0: a CLIPTextModel, which has no projection
  std::int64_t end = 49407;     ///< the token that is projected; 2: the prompt's largest
};

/// config.json of text_encoder/ or text_encoder_2/. Throws NotFoundError where there is no such file,
/// DataError naming file, key, what was found and what is allowed. Guaranteed of what comes back: positive
/// sizes within bounds, heads that divide the channels.
TextEncoderConfig read_text_encoder_config(const std::filesystem::path& file);

/// The parameter that a stored name belongs to: names come with and without a leading "text_model.".
std::optional<std::string> text_encoder_parameter(const std::string& stored_name);

/// What an encoder makes of a prompt.
struct EncodedPrompt {
  at::Tensor last;         ///< of the last layer, normed (last_hidden_state) [1, T, C]
  at::Tensor penultimate;  ///< of the layer before it, not normed (hidden_states[-2]) [1, T, C]
  at::Tensor pooled;       ///< the projection of the end's `last` (text_embeds) [1, P]; undefined without one
};

class TextEncoderLayer;

class TextEncoder : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model. @pre `config` satisfies what read_text_encoder_config
  /// guarantees.
  TextEncoder(const TextEncoderConfig& config, const at::TensorOptions& options);

  /// Tokens [1, T] int64, each within the vocabulary, T <= positions. Throws DataError where a projection is
  /// asked for and no token is the end.
  EncodedPrompt forward(const at::Tensor& tokens) const;

 private:
  at::Tensor token_embedding_;     // [vocabulary, C]
  at::Tensor position_embedding_;  // [positions, C]
  std::shared_ptr<ModuleVector<TextEncoderLayer>> layers_;
  std::shared_ptr<LayerNorm> final_norm_;
  std::shared_ptr<Linear> projection_;
  std::int64_t end_;
};

}  // namespace dwgf
