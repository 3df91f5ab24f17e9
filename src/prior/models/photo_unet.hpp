/// The network of the prior of photographs (tools/photo_unet.py has the same in Python): a convolutional
/// U-Net in pixel space, without norms and without attention, so that what it makes of a pixel depends on the
/// pixels around it and not on the size of the image. It predicts v = a eps - s z_0 (arXiv 2202.00512,
/// appendix D) from z_t = a z_0 + s eps.
///
///   entry  2x2 pixels become channels, then a 3x3 convolution
///   block  x + conv2(silu((1 + g) conv1(silu(x)) + h)), g and h linear in the noise level's embedding
///   down   a 2x2 convolution of stride 2;  up  a 1x1 convolution to 4 times the channels, which become 2x2
///          positions, added to what the way down had there
///   exit   conv_out(silu(x)), channels become 2x2 pixels
///
/// The embedding is of log(s / a), by waves of it through two linear layers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/models/photo_unet_config.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class PhotoBlock;

class PhotoUNet : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model. @pre `config` satisfies what read_photo_unet_config
  /// guarantees.
  PhotoUNet(const PhotoUNetConfig& config, const LayerOptions& options);

  /// v seen in z_t [B, C, H, W], H and W multiples of config.multiple(), at one log(s / a) for all samples
  /// -> [B, C, H, W]. The type is the parameters'.
  at::Tensor forward(const at::Tensor& z_t, double log_noise) const;

 private:
  using Blocks = ModuleVector<PhotoBlock>;

  at::Tensor embedding(double log_noise) const;  // [1, E]
  at::Tensor through(const Blocks& blocks, at::Tensor x, const at::Tensor& told) const;

  LayerOptions options_;
  at::Tensor frequencies_;  // [1, frequencies] float32
  std::shared_ptr<Linear> embed1_, embed2_;
  std::shared_ptr<Convolution> conv_in_, conv_out_;
  std::shared_ptr<ModuleVector<Blocks>> down_, up_;
  std::shared_ptr<ModuleVector<Convolution>> narrow_, widen_;
  std::shared_ptr<Blocks> middle_;
};

}  // namespace dwgf
