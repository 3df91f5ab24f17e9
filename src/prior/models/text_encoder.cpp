#include "prior/models/text_encoder.hpp"

#include <string_view>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "prior/files/weights.hpp"

namespace dwgf {
namespace {

/// softmax(q k^T / sqrt(C / heads)) v, each token over itself and those before it          (CLIPAttention)
class CausalAttention : public torch::nn::Module {
 public:
  CausalAttention(std::int64_t channels, std::int64_t heads, const at::TensorOptions& tensors)
      : heads_(heads) {
    const auto projection = [&](const char* name) {
      return register_module(name, std::make_shared<Linear>(channels, channels, true, tensors));
    };
    q_ = projection("q_proj");
    k_ = projection("k_proj");
    v_ = projection("v_proj");
    out_ = projection("out_proj");
  }

  at::Tensor forward(const at::Tensor& x) const {  // [B, T, C] -> [B, T, C]
    const auto split = [&](const at::Tensor& tokens) {
      return tokens.view({tokens.size(0), tokens.size(1), heads_, -1}).transpose(1, 2);
    };
    const at::Tensor q = split(q_->forward(x)), k = split(k_->forward(x)),
                     v = split(v_->forward(x));  // [B, heads, T, C / heads]
    const at::Tensor y = at::scaled_dot_product_attention(q, k, v, {}, 0.0, /*is_causal=*/true);
    return out_->forward(y.transpose(1, 2).flatten(2));
  }

 private:
  std::shared_ptr<Linear> q_, k_, v_, out_;
  std::int64_t heads_;
};

/// W2 act(W1 x)                                                                              (CLIPMLP)
class Perceptron : public torch::nn::Module {
 public:
  Perceptron(const TextEncoderConfig& config, const at::TensorOptions& tensors) : quick_(config.quick_gelu) {
    const auto channels = config.channels, inner = config.feed_forward_channels;
    into_ = register_module("fc1", std::make_shared<Linear>(channels, inner, true, tensors));
    out_ = register_module("fc2", std::make_shared<Linear>(inner, channels, true, tensors));
  }

  at::Tensor forward(const at::Tensor& x) const {  // [B, T, C] -> [B, T, C]
    const at::Tensor h = into_->forward(x);
    return out_->forward(quick_ ? h * at::sigmoid(1.702 * h) : at::gelu(h));
  }

 private:
  std::shared_ptr<Linear> into_, out_;
  bool quick_;
};

}  // namespace

class TextEncoderLayer : public torch::nn::Module {
 public:
  TextEncoderLayer(const TextEncoderConfig& config, const at::TensorOptions& tensors) {
    const auto channels = config.channels;
    attention_ =
        register_module("self_attn", std::make_shared<CausalAttention>(channels, config.heads, tensors));
    norm1_ = register_module("layer_norm1", std::make_shared<LayerNorm>(channels, tensors));
    perceptron_ = register_module("mlp", std::make_shared<Perceptron>(config, tensors));
    norm2_ = register_module("layer_norm2", std::make_shared<LayerNorm>(channels, tensors));
  }

  at::Tensor forward(at::Tensor x) const {  // [B, T, C] -> [B, T, C]
    x = x + attention_->forward(norm1_->forward(x));
    return x + perceptron_->forward(norm2_->forward(x));
  }

 private:
  std::shared_ptr<CausalAttention> attention_;
  std::shared_ptr<Perceptron> perceptron_;
  std::shared_ptr<LayerNorm> norm1_, norm2_;
};

std::optional<std::string> text_encoder_parameter(const std::string& stored_name) {
  constexpr std::string_view kPrefix = "text_model.";
  return same_name(stored_name.starts_with(kPrefix) ? stored_name.substr(kPrefix.size()) : stored_name);
}

TextEncoder::TextEncoder(const TextEncoderConfig& config, const at::TensorOptions& options)
    : end_(config.end) {
  struct Group : torch::nn::Module {};
  const auto embeddings = register_module("embeddings", std::make_shared<Group>());
  const auto table = [&](const char* name, std::int64_t rows) {
    return embeddings->register_module(name, std::make_shared<Group>())
        ->register_parameter("weight", at::empty({rows, config.channels}, options), false);
  };
  token_embedding_ = table("token_embedding", config.vocabulary);
  position_embedding_ = table("position_embedding", config.positions);
  const auto encoder = register_module("encoder", std::make_shared<Group>());
  layers_ = encoder->register_module("layers", std::make_shared<ModuleVector<TextEncoderLayer>>());
  for (std::int64_t i = 0; i < config.layers; ++i)
    layers_->add(std::make_shared<TextEncoderLayer>(config, options));
  final_norm_ = register_module("final_layer_norm", std::make_shared<LayerNorm>(config.channels, options));
  if (config.projection > 0) {
    projection_ = register_module(
        "text_projection", std::make_shared<Linear>(config.channels, config.projection, false, options));
  }
}

EncodedPrompt TextEncoder::forward(const at::Tensor& tokens) const {
  EncodedPrompt out;
  at::Tensor x = at::embedding(token_embedding_, tokens) +
                 position_embedding_.narrow(0, 0, tokens.size(1));  // [1, T, C]
  for (std::size_t i = 0; i < layers_->size(); ++i) {
    out.penultimate = x;
    x = (*layers_)[i].forward(x);
  }
  out.last = final_norm_->forward(x);
  if (!projection_) return out;

  // Configurations older than https://github.com/huggingface/transformers/pull/24773 all say 2.
  constexpr std::int64_t kNotSaid = 2;
  const at::Tensor is_end = tokens[0].eq(end_ == kNotSaid ? tokens.max().item<std::int64_t>() : end_);
  if (!is_end.any().item<bool>()) {
    throw DataError(
        "prior: a prompt's tokens do not have the text encoder's eos_token_id, {}, which its tokenizer "
        "should "
        "put at the end; take both from one model",
        end_);
  }
  const auto at = is_end.to(at::kInt).argmax().item<std::int64_t>();  // the first
  out.pooled = projection_->forward(out.last.select(1, at));
  return out;
}

}  // namespace dwgf
