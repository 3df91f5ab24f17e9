/// Prompts as embeddings, by a text encoder and a tokenizer of a diffusers directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "prior/files/tokenizer.hpp"
#include "prior/files/weights.hpp"
#include "prior/models/text_encoder.hpp"

namespace dwgf {

/// What transformers calls the weights of a text encoder.
inline constexpr const char* kTextWeightsStem = "model";

class PromptEncoder {
 public:
  /// Opens text_encoder`suffix`/ and tokenizer`suffix`/ of a directory; `options` are those of the network
  /// and its results. Throws what reading either throws; DataError too where the two do not belong together.
  PromptEncoder(const std::filesystem::path& directory, const std::string& suffix,
                const at::TensorOptions& options);

  const TextEncoderConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  /// T, of every prompt: the tokenizer's model_max_length, else the encoder's max_position_embeddings.
  std::int64_t length() const { return length_; }

  /// A longer prompt is cut short at length(), as in diffusers; a shorter one is padded. The network is
  /// loaded by the first call and kept until release(). Throws what loading throws, and UsageError where the
  /// prompt is not UTF-8.
  EncodedPrompt encode(const std::string& prompt, FileHashes& hashes);
  /// Whether encode() cuts this prompt short.
  bool cuts_short(const std::string& prompt) const;
  /// Frees the network.
  void release() { network_.reset(); }

 private:
  TextEncoderConfig config_;
  Weights weights_;
  Tokenizer tokenizer_;
  at::TensorOptions options_;
  std::int64_t length_;
  std::shared_ptr<const TextEncoder> network_;
};

/// Whether a directory has text_encoder`suffix`/.
bool has_text_encoder(const std::filesystem::path& directory, const std::string& suffix);

/// The penultimate states of two encoders, next to each other [1, T, C1 + C2]. Throws DataError where their
/// T differ.
at::Tensor joined_penultimate(const EncodedPrompt& first, const EncodedPrompt& second);

}  // namespace dwgf
