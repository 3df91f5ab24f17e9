/// The autoencoder of Stable Diffusion, diffusers' AutoencoderKL: arXiv 2112.10752, section 3.1;
/// https://github.com/huggingface/diffusers (models/autoencoders/autoencoder_kl.py and vae.py, 0.42.1).
/// Latents here are on the autoencoder's own scale.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <dwgf/prior/vjp.hpp>

#include "prior/models/autoencoder_config.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class AutoencoderEncoder;
class AutoencoderDecoder;

class Autoencoder : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model.
  Autoencoder(const AutoencoderConfig& config, const LayerOptions& options);

  /// z [B, c, h, w] -> image [B, C, H, W].
  at::Tensor decode(const at::Tensor& z) const;

  /// decode as a chain, z -> stages[0] -> ... -> image: each a block of its own, its result fresh memory.
  /// Without autograd: products are the blocks' own.
  struct DecoderStage {
    std::function<at::Tensor(const at::Tensor&)> forward;
    std::function<Vjp(const at::Tensor&)> vjp;
  };
  const std::vector<DecoderStage>& decoder_stages() const { return stages_; }

  /// Mean and log-variance (clamped to [-30, 20]) of the posterior of x [B, C, H, W], [B, c, h, w] each.
  /// @pre H and W are multiples of the factor.
  struct Moments {
    at::Tensor mean, log_variance;
  };
  Moments encode(const at::Tensor& x) const;

 private:
  std::shared_ptr<AutoencoderEncoder> encoder_;
  std::shared_ptr<AutoencoderDecoder> decoder_;
  std::shared_ptr<Convolution> quant_conv_, post_quant_conv_;
  std::vector<DecoderStage> stages_;
  Kernels kernels_;
};

}  // namespace dwgf
