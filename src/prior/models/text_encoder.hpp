/// The text encoders of Stable Diffusion, transformers' CLIPTextModel and CLIPTextModelWithProjection
/// (5.23.0, models/clip): a prompt's tokens as the embeddings that a denoiser is conditioned on. Radford et
/// al., arXiv 2103.00020, section 2.4.
///
/// Shapes: T tokens, C channels (hidden_size), P channels of the projection (projection_dim).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/models/text_encoder_config.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

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
