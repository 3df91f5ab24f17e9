/// What the U-Nets and the autoencoder are made of. Sub-modules are named as in diffusers
/// 0.42.1 (models/resnet.py, models/attention.py, models/attention_processor.py,
/// models/transformers/transformer_2d.py).
///
/// Shapes: B samples, C channels, H x W positions, L = H * W tokens, E channels of the time embedding.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <dwgf/prior/vjp.hpp>

#include "prior/nn/layers.hpp"

namespace dwgf {

/// What is told to B samples [S, ...] -> [B, ...], S = 1 or a divisor of B: samples in S runs of equal length
/// are told the same.
at::Tensor for_samples(const at::Tensor& told, std::int64_t samples);

/// A module that maps a tensor to one; `context` is the prompt's embedding [S, tokens, dim], as for_samples
/// has it, for those that attend to it.
class TensorModule : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const at::Tensor& x, const at::Tensor& context = {}) const = 0;
};

/// h = conv1(silu(norm1(x))) + W_t silu(temb);  y = shortcut(x) + conv2(silu(norm2(h)))        (diffusers
/// ResnetBlock2D)
class ResidualBlock : public torch::nn::Module {
 public:
  struct Options {
    std::int64_t in = 0, out = 0;
    std::int64_t time_channels = 0;  ///< E; 0: the block does not see the time
    std::int64_t groups = 32;
    double eps = 1e-6;
  };
  ResidualBlock(const Options& options, const LayerOptions& tensors);
  /// x [B, in, H, W] and silu(temb) [S, E], as for_samples has it (undefined if E = 0) -> [B, out, H, W]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& activated_time) const;
  /// The same with conv1's bias + W_t silu(temb), [S, out], given.
  at::Tensor forward_with_offset(const at::Tensor& x, const at::Tensor& offset) const;
  /// Of a block that does not see the time; keeps x and h.
  Vjp vjp(const at::Tensor& x) const;

  bool sees_time() const { return time_projection_ != nullptr; }
  at::Tensor time_matrix() const { return time_projection_->matrix(); }  ///< W_t [out, E]
  at::Tensor time_bias() const {
    return time_projection_->bias() + conv1_->bias();
  }  ///< of the offset, [out]

 private:
  at::Tensor shortcut(const at::Tensor& x) const;
  GroupNorm::OfSum second_norm(const at::Tensor& x, const at::Tensor& offset) const;

  std::shared_ptr<GroupNorm> norm1_, norm2_;
  std::shared_ptr<Convolution> conv1_, conv2_, shortcut_;
  std::shared_ptr<Linear> time_projection_;
};

/// What the time adds in every block that sees it, by one product.
class TimeOffsets {
 public:
  /// @pre the block outlives this
  void add(const ResidualBlock& block) { blocks_.push_back(&block); }
  /// From silu(temb) [S, E]: each block's [S, out], for `forward_with_offset`.
  std::map<const ResidualBlock*, at::Tensor> of(const at::Tensor& activated_time) const;

 private:
  std::vector<const ResidualBlock*> blocks_;
  mutable at::Tensor matrix_, bias_;  // of all blocks, made at the first call, when weights are loaded
};

/// Halves the resolution by a convolution of stride 2.
class Downsample : public torch::nn::Module {
 public:
  /// Zeros around the image (the U-Net of Stable Diffusion), or below and to the right of it only (the
  /// autoencoder; the first DDPM models).
  enum class Padding { symmetric, below_right };
  Downsample(std::int64_t channels, Padding padding, const LayerOptions& tensors);
  at::Tensor forward(const at::Tensor& x) const;  // [B, C, H, W] -> [B, C, H / 2, W / 2], rounded up or down

 private:
  std::shared_ptr<Convolution> conv_;
  Padding padding_;
};

/// Nearest neighbours, then a convolution of 3 x 3. But with Kernels::portable, a doubling is done on the
/// coarse grid: each of the four results of a coarse position sees 2 x 2 coarse positions, with weights that
/// are sums of the kernel's (4/9 of the multiplications).
class Upsample : public torch::nn::Module {
 public:
  Upsample(std::int64_t channels, const LayerOptions& tensors,
           Convolution::Bias bias = Convolution::Bias::added);
  at::Tensor forward(const at::Tensor& x, std::int64_t height,
                     std::int64_t width) const;  // -> [B, C, height, width]
  /// Of the doubled resolution; keeps nothing.
  Vjp vjp(const at::Tensor& x) const;

 private:
  bool doubles_on_coarse_grid(const at::Tensor& x) const;
  at::Tensor doubled(const at::Tensor& x) const;
  at::Tensor doubled_vjp(const at::Tensor& cotangent) const;

  std::shared_ptr<Convolution> conv_;
  /// The convolution of 2 x 2 from C to 4 C channels, of which block 2 a + b has the results at (2 i + a, 2 j
  /// + b).
  mutable std::shared_ptr<Convolution> on_coarse_grid_;
  Kernels kernels_;
};

/// Multi-head attention, softmax(q k^T / sqrt(C / heads)) v with its four projections (arXiv 1706.03762).
/// Logits and softmax are formed by LibTorch's fused kernels, in float32 also where the tensors are half
/// precision: `upcast_attention` needs nothing more.
class Attention : public TensorModule {
 public:
  struct Options {
    std::int64_t channels = 0;      ///< C, of queries and output
    std::int64_t key_channels = 0;  ///< of what keys and values are made from
    std::int64_t heads = 1;
    bool bias = false;  ///< of the projections to queries, keys and values
  };
  Attention(const Options& options, const LayerOptions& tensors);

 protected:
  struct Heads {
    at::Tensor q, k, v;  // [B, heads, L, C / heads]
  };
  /// Of tokens [B, L, C] that attend to themselves: by one product with Kernels::device.
  Heads heads_of(const at::Tensor& tokens) const;
  at::Tensor split_heads(const at::Tensor& tokens) const;  // [B, L, C] -> [B, heads, L, C / heads]
  at::Tensor merge_heads(const at::Tensor& heads) const;   // and back
  const Linear& to_out() const { return (*to_out_)[0]; }

  std::shared_ptr<Linear> to_q_, to_k_, to_v_;
  Kernels kernels_;

 private:
  std::shared_ptr<ModuleVector<Linear>> to_out_;
  std::int64_t heads_;
  mutable at::Tensor together_, together_bias_;  // of all three, made at the first call
};

class SelfAttention : public Attention {
 public:
  using Attention::Attention;
  at::Tensor forward(const at::Tensor& x, const at::Tensor& = {}) const override;  // [B, L, C] -> [B, L, C]
};

/// Attention to the prompt. Keys and values do not depend on the sample, but on which prompt it is told.
class CrossAttention : public Attention {
 public:
  using Attention::Attention;
  /// x [B, L, C], context [S, tokens, key_channels], as for_samples has it -> [B, L, C]; where the context is
  /// a single token [1, 1, C] or [B, 1, C]: every query then attends to it alone, softmax is 1, and the
  /// result is the same everywhere, whatever x.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& context) const override;

 private:
  struct OfContext {
    at::Tensor context, k, v;  // k and v [S, heads, tokens, C / heads]
    at::Tensor only;           // of a single token: what comes out, [S, 1, C]
  };
  /// Made once for a context and kept with Kernels::device, where the same one comes at every call.
  OfContext of_context(const at::Tensor& context) const;

  mutable OfContext kept_;
};

/// x + attention(norm(x)) over the positions of an image              (the middle of the autoencoder; DDPM's
/// U-Net)
class ImageAttention : public Attention {
 public:
  struct Options {
    std::int64_t channels = 0, heads = 1, groups = 32;
    double eps = 1e-6;
  };
  ImageAttention(const Options& options, const LayerOptions& tensors);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& = {}) const override;  // [B, C, H, W]
  /// Keeps x, and forms what the product needs again.
  Vjp vjp(const at::Tensor& x) const;

 private:
  at::Tensor pull(const at::Tensor& x, const at::Tensor& cotangent) const;

  std::shared_ptr<GroupNorm> norm_;
};

/// The name of a parameter of an attention among a model's, where files published before diffusers 0.17 say
/// query, key, value and proj_attn; other names as they are.
std::string current_attention_name(const std::string& stored_name);

/// W (a * gelu(b)) + c with (a, b) a projection to 4 C channels each, arXiv 2002.05202.
class FeedForward : public torch::nn::Module {
 public:
  FeedForward(std::int64_t channels, const at::TensorOptions& tensors);
  at::Tensor forward(const at::Tensor& x) const;  // [B, L, C]

 private:
  std::shared_ptr<Linear> into_, out_;
};

/// Self-attention, attention to the prompt and a feed-forward layer, each with its norm and a residual
/// connection.
class TransformerLayer : public torch::nn::Module {
 public:
  TransformerLayer(std::int64_t channels, std::int64_t context_channels, std::int64_t heads,
                   const LayerOptions& tensors);
  at::Tensor forward(at::Tensor x, const at::Tensor& context) const;  // [B, L, C]

 private:
  std::shared_ptr<LayerNorm> norm1_, norm2_, norm3_;
  std::shared_ptr<SelfAttention> self_;
  std::shared_ptr<CrossAttention> cross_;
  std::shared_ptr<FeedForward> feed_forward_;
};

/// x + proj_out(layers(proj_in(norm(x)))) over the positions of an image                    (diffusers
/// Transformer2DModel)
class ImageTransformer : public TensorModule {
 public:
  struct Options {
    std::int64_t channels = 0, context_channels = 0, heads = 1, layers = 1, groups = 32;
    bool linear_projection = false;  ///< proj_in and proj_out are stored as matrices, not as 1x1 convolutions
  };
  ImageTransformer(const Options& options, const LayerOptions& tensors);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& context) const override;  // [B, C, H, W]

 private:
  std::shared_ptr<GroupNorm> norm_;
  std::shared_ptr<Linear> into_, out_;
  std::shared_ptr<ModuleVector<TransformerLayer>> layers_;
};

}  // namespace dwgf
