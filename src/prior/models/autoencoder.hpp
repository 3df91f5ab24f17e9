/// The autoencoder of Stable Diffusion, diffusers' AutoencoderKL: arXiv 2112.10752, section 3.1;
/// https://github.com/huggingface/diffusers (models/autoencoders/autoencoder_kl.py and vae.py, 0.42.1).
/// Latents here are on the autoencoder's own scale.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/models/autoencoder_config.hpp"
#include "prior/models/codec_network.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class AutoencoderEncoder;
class AutoencoderDecoder;

class Autoencoder : public torch::nn::Module, public CodecNetwork {
 public:
  /// Parameters are uninitialised, see load_model.
  Autoencoder(const AutoencoderConfig& config, const LayerOptions& options);

  at::Tensor decode(const at::Tensor& z) const override;
  const std::vector<DecoderStage>& decoder_stages() const override { return stages_; }
  /// The log-variance is clamped to [-30, 20].
  EncodedMoments encode(const at::Tensor& x) const override;

 private:
  std::shared_ptr<AutoencoderEncoder> encoder_;
  std::shared_ptr<AutoencoderDecoder> decoder_;
  std::shared_ptr<Convolution> quant_conv_, post_quant_conv_;
  std::vector<DecoderStage> stages_;
  Kernels kernels_;
};

}  // namespace dwgf
