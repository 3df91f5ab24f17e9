/// TAESD, an autoencoder that was distilled from a large one to a fraction of its cost: diffusers'
/// AutoencoderTiny (models/autoencoders/autoencoder_tiny.py and vae.py, 0.42.1);
/// https://github.com/madebyollin/taesd.
///
///   decode: 3 tanh(z / 3), then convolutions and blocks relu(x + conv(relu(conv(relu(conv(x)))))), doublings
///           between them, and 2 y - 1
///   encode: (x + 1) / 2, the same downwards by convolutions of stride 2
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/files/weights.hpp"
#include "prior/models/codec_network.hpp"
#include "prior/models/tiny_autoencoder_config.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class TinyEncoder;
class TinyDecoder;

class TinyAutoencoder : public torch::nn::Module, public CodecNetwork {
 public:
  /// Parameters are uninitialised, see load_model with tiny_names.
  TinyAutoencoder(const TinyAutoencoderConfig& config, const LayerOptions& options);

  at::Tensor decode(const at::Tensor& z) const override;
  const std::vector<DecoderStage>& decoder_stages() const override { return stages_; }
  /// A point.
  EncodedMoments encode(const at::Tensor& x) const override;

 private:
  std::shared_ptr<TinyEncoder> encoder_;
  std::shared_ptr<TinyDecoder> decoder_;
  std::vector<DecoderStage> stages_;
};

/// The parameter that a stored name belongs to: convolutions after a doubling are stored without the name of
/// the convolution within it.
NameRule tiny_names(const TinyAutoencoderConfig& config);

}  // namespace dwgf
