/// What SDXL's U-Net adds to the embedding of the time: the prompt as a whole, and sizes of the image that
/// the model was told in training. Podell et al., arXiv 2307.01952, section 2.2; diffusers 0.42.1,
/// models/unets/unet_2d_condition.py, addition_embed_type text_time.
///
///   e = W2 silu(W1 [pooled, wave(n_1), ..., wave(n_6)] + b1) + b2
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/models/unet_config.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

/// Frequencies 10000^(-i / (half - shift)), i < half [1, half], float32, operation by operation as diffusers'
/// get_timestep_embedding.
at::Tensor wave_frequencies(std::int64_t half, std::int64_t shift);

/// cos and sin of each number's phases, float32, [n, 2 half]; `numbers` [n, 1] float32.
at::Tensor waves(const at::Tensor& numbers, const at::Tensor& frequencies, bool cosine_first);

class AddedEmbedding : public torch::nn::Module {
 public:
  /// @pre config.size_channels > 0
  AddedEmbedding(const UNetConfig& config, const at::TensorOptions& options);

  /// pooled [S, pooled_channels] in the network's type, sizes [S, kSizes] -> [S, time_channels]
  at::Tensor forward(const at::Tensor& pooled, const at::Tensor& sizes) const;

 private:
  bool cosine_first_;
  at::Tensor frequencies_;  // [1, size_channels / 2] float32
  std::shared_ptr<Linear> linear1_, linear2_;
};

}  // namespace dwgf
