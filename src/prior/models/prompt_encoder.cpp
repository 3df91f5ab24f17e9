#include "prior/models/prompt_encoder.hpp"

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace fs = std::filesystem;

PromptEncoder::PromptEncoder(const fs::path& directory, const std::string& suffix,
                             const at::TensorOptions& options)
    : config_(read_text_encoder_config(directory / ("text_encoder" + suffix) / "config.json")),
      weights_(directory / ("text_encoder" + suffix), kTextWeightsStem),
      tokenizer_(directory / ("tokenizer" + suffix)),
      options_(options),
      length_(tokenizer_.max_length().value_or(config_.positions)) {
  if (tokenizer_.vocabulary_size() != config_.vocabulary) {
    throw DataError(
        "prior: the tokenizer's vocabulary {} has {} tokens, but the text encoder in {} was trained on {} "
        "(its vocab_size); take both from one model",
        tokenizer_.vocabulary_file().string(), tokenizer_.vocabulary_size(), weights_.folder().string(),
        config_.vocabulary);
  }
  if (length_ > config_.positions) {
    throw DataError(
        "prior: the tokenizer in {} makes {} tokens (its model_max_length), but the text encoder in {} takes "
        "{} at most (its max_position_embeddings); take both from one model",
        (directory / ("tokenizer" + suffix)).string(), length_, weights_.folder().string(),
        config_.positions);
  }
}

EncodedPrompt PromptEncoder::encode(const std::string& prompt, FileHashes& hashes) {
  const auto numbers = tokenizer_.encode(prompt, length_);
  const at::NoGradGuard no_grad;
  if (!network_)
    network_ = load_model<TextEncoder>(config_, weights_, text_encoder_parameter, options_, hashes);
  const at::Tensor tokens = at::tensor(at::ArrayRef<std::int64_t>(numbers), at::kLong)
                                .unsqueeze(0)
                                .to(options_.device());  // [1, T]
  return network_->forward(tokens);
}

bool PromptEncoder::cuts_short(const std::string& prompt) const {
  constexpr std::int64_t kMarks = 2;  // the first and the last token
  return static_cast<std::int64_t>(tokenizer_.tokens(prompt).size()) + kMarks > length_;
}

bool has_text_encoder(const fs::path& directory, const std::string& suffix) {
  std::error_code ignored;
  return fs::is_directory(directory / ("text_encoder" + suffix), ignored);
}

at::Tensor joined_penultimate(const EncodedPrompt& first, const EncodedPrompt& second) {
  if (first.penultimate.size(1) != second.penultimate.size(1)) {
    throw DataError(
        "prior: the tokenizers make {} and {} tokens of a prompt (their model_max_length), which should be "
        "as "
        "many; take both from one model",
        first.penultimate.size(1), second.penultimate.size(1));
  }
  return at::cat({first.penultimate, second.penultimate}, 2);
}

}  // namespace dwgf
