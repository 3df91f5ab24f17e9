/// What the transformer of Stable Diffusion 3 is made of (MMDiT; Esser et al., arXiv 2403.03206, section 4).
/// Two streams of tokens, the image's and the prompt's, have weights of their own and attend to each other.
/// Sub-modules are named as in diffusers 0.42.1 (models/attention.py, JointTransformerBlock;
/// models/attention_processor.py, JointAttnProcessor2_0; models/normalization.py).
///
/// Shapes: B samples, L image tokens, T prompt tokens, C channels. The prompt's tokens are [1, T, C] where
/// they are the same for all samples, before they have seen any image, and [B, T, C] afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/nn/layers.hpp"

namespace dwgf {

/// Both streams.
struct JointTokens {
  at::Tensor image;   ///< [B, L, C]
  at::Tensor prompt;  ///< [1 or B, T, C]
};

/// x / sqrt(mean(x^2) + 1e-6) * weight over the last dimension, arXiv 1910.07467; the mean in float32 where x
/// is of half precision.
class RmsNorm : public torch::nn::Module {
 public:
  RmsNorm(std::int64_t channels, const at::TensorOptions& tensors);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_;
};

/// What a level of noise and a prompt do to a stream: `count` vectors of C channels each, linear in silu of
/// their common embedding.
class Modulation : public torch::nn::Module {
 public:
  Modulation(std::int64_t channels, std::int64_t count, const at::TensorOptions& tensors);
  /// silu(embedding) [1 or B, C] -> count x [1 or B, 1, C]
  std::vector<at::Tensor> forward(const at::Tensor& activated) const;

 private:
  std::shared_ptr<Linear> linear_;
  std::int64_t count_;
};

/// (1 + scale) norm(x) + shift, the norm over channels without parameters.
at::Tensor modulated(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift);

/// softmax(q k^T / sqrt(d)) v over the tokens of both streams, image first; or of the image's alone.
class JointAttention : public torch::nn::Module {
 public:
  enum class Prompt {
    none,         ///< image tokens attend to each other
    read,         ///< they attend to the prompt's too, whose own result is not needed
    transformed,  ///< both attend to both
  };
  struct Options {
    std::int64_t channels = 0;  ///< C
    std::int64_t heads = 1;
    bool norm = false;  ///< of queries and keys, a head
  };
  JointAttention(const Options& options, Prompt prompt, const at::TensorOptions& tensors);

  /// The result's prompt is undefined where it is not transformed; so may be the argument's where there is
  /// none.
  JointTokens forward(const JointTokens& tokens) const;

 private:
  at::Tensor heads_of(const at::Tensor& tokens, const std::shared_ptr<RmsNorm>& norm) const;

  Prompt prompt_;
  std::int64_t heads_;
  std::shared_ptr<Linear> to_q_, to_k_, to_v_, add_q_, add_k_, add_v_, to_add_out_;
  std::shared_ptr<ModuleVector<Linear>> to_out_;
  std::shared_ptr<RmsNorm> norm_q_, norm_k_, norm_added_q_, norm_added_k_;
};

/// W2 gelu(W1 x) with 4 C channels between, gelu by its tanh approximation.
class TanhFeedForward : public torch::nn::Module {
 public:
  TanhFeedForward(std::int64_t channels, const at::TensorOptions& tensors);
  at::Tensor forward(const at::Tensor& x) const;  // [B, L, C]

 private:
  std::shared_ptr<Linear> into_, out_;
};

/// Attention and a feed-forward layer for each stream, modulated before and gated after:
///
///   x += g1 attention(modulated(x));   x += g3 attention2(modulated(x before))   (dual);
///   x += g2 feed_forward(modulated(x))
class JointBlock : public torch::nn::Module {
 public:
  struct Options {
    JointAttention::Options attention;
    bool dual = false;
    bool last = false;  ///< of the network: the prompt's stream ends here
  };
  JointBlock(const Options& options, const at::TensorOptions& tensors);
  /// `activated` [1 or B, C] is silu of the embedding. The prompt of the last block's result is undefined.
  JointTokens forward(const JointTokens& tokens, const at::Tensor& activated) const;

 private:
  at::Tensor image(const at::Tensor& x, const at::Tensor& attended, const std::vector<at::Tensor>& by,
                   const at::Tensor& normed) const;
  at::Tensor prompt(const at::Tensor& x, const at::Tensor& attended, const std::vector<at::Tensor>& by) const;

  std::shared_ptr<Modulation> norm1_, norm1_prompt_;
  std::shared_ptr<JointAttention> attention_, attention2_;
  std::shared_ptr<TanhFeedForward> feed_forward_, feed_forward_prompt_;
};

}  // namespace dwgf
