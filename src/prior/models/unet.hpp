/// The U-Net of diffusion models: the conditional one of Stable Diffusion 1.x and 2.x, diffusers'
/// UNet2DConditionModel (arXiv 2112.10752, appendix), and the unconditional one of pixel-space models,
/// UNet2DModel (arXiv 2006.11239, appendix B); https://github.com/huggingface/diffusers (models/unets/,
/// 0.42.1).
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <dwgf/prior/denoiser.hpp>

#include "prior/models/added_embedding.hpp"
#include "prior/models/unet_config.hpp"
#include "prior/nn/blocks.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class UNetDownBlock;
class UNetMiddleBlock;
class UNetUpBlock;

class UNet : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model. @pre `config` comes from read_unet_config or satisfies
  /// what it guarantees.
  UNet(const UNetConfig& config, const LayerOptions& options);

  /// What the network predicts (eps or v) of z_t [B, c, h, w], any h and w, at one time for all samples, with
  /// the prompt's embedding [1, tokens, context_channels] -> [B, c, h, w]. `guidance` is looked at by a
  /// network of guidance_channels alone. @pre without context_channels the context is undefined
  at::Tensor forward(const at::Tensor& z_t, double time, const at::Tensor& context = {},
                     double guidance = 1.0) const;
  /// The same by all that it is told: `tokens` [S, tokens, context_channels], and a network of size_channels
  /// `pooled` [S, pooled_channels] and `sizes` [S, kSizes], all in the network's type but `sizes`. S = 1, or
  /// a divisor of B: samples in S runs of equal length are told the same.
  at::Tensor forward(const at::Tensor& z_t, double time, const Conditioning& told) const;

  /// The sinusoidal embedding of a time, [1, channels of the first level], in float32 as diffusers computes
  /// it, then cast.
  at::Tensor sinusoidal_embedding(double time) const;

  /// The embedding of a guidance g, [1, guidance_channels], as latent consistency models were distilled with
  /// it (arXiv 2310.04378, section 4.3): sines, then cosines, of 1000 (g - 1), in float32 as diffusers
  /// computes it, then cast.
  at::Tensor guidance_embedding(double guidance) const;

 private:
  UNetConfig config_;
  LayerOptions options_;
  at::Tensor frequencies_;           // [1, channels / 2] float32
  at::Tensor guidance_frequencies_;  // [1, guidance_channels / 2] float32

  std::shared_ptr<Convolution> conv_in_, conv_out_;
  std::shared_ptr<Linear> time_linear1_, time_linear2_, guidance_projection_;
  std::shared_ptr<AddedEmbedding> added_;
  std::shared_ptr<ModuleVector<UNetDownBlock>> down_blocks_;
  std::shared_ptr<UNetMiddleBlock> middle_block_;
  std::shared_ptr<ModuleVector<UNetUpBlock>> up_blocks_;
  std::shared_ptr<GroupNorm> norm_out_;
  TimeOffsets time_offsets_;  // of Kernels::device
};

}  // namespace dwgf
