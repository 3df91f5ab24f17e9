#include "prior/models/photo_unet.hpp"

#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

class PhotoBlock : public torch::nn::Module {
 public:
  PhotoBlock(std::int64_t channels, std::int64_t noise_channels, const LayerOptions& tensors) {
    conv1_ = register_module("conv1", std::make_shared<Convolution>(channels, channels, 3, 1, 1, tensors));
    conv2_ = register_module("conv2", std::make_shared<Convolution>(channels, channels, 3, 1, 1, tensors));
    film_ = register_module("film",
                            std::make_shared<Linear>(noise_channels, 2 * channels, true, tensors.tensors));
  }

  at::Tensor forward(const at::Tensor& x, const at::Tensor& told) const {          // [B, C, H, W], [1, E]
    const auto film = film_->forward(told).unsqueeze(2).unsqueeze(3).chunk(2, 1);  // [1, C, 1, 1] each
    at::Tensor inner = conv1_->forward(at::silu(x));
    inner = activate(inner.mul_(film[0] + 1).add_(film[1]));
    return conv2_->forward_onto(inner, x);
  }

 private:
  std::shared_ptr<Convolution> conv1_, conv2_;
  std::shared_ptr<Linear> film_;
};

PhotoUNet::PhotoUNet(const PhotoUNetConfig& config, const LayerOptions& options) : options_(options) {
  const std::int64_t pixels = 4 * config.image_channels, first = config.levels.front().channels;
  const auto linear = [&](const char* name, std::int64_t in) {
    return register_module(name, std::make_shared<Linear>(in, config.noise_channels, true, options.tensors));
  };
  embed1_ = linear("embed1", 2 * config.frequencies);
  embed2_ = linear("embed2", config.noise_channels);
  conv_in_ = register_module("conv_in", std::make_shared<Convolution>(pixels, first, 3, 1, 1, options));
  conv_out_ = register_module("conv_out", std::make_shared<Convolution>(first, pixels, 3, 1, 1, options));
  const auto blocks = [&](const PhotoUNetLevel& level) {
    auto made = std::make_shared<Blocks>();
    for (std::int64_t i = 0; i < level.blocks; ++i)
      made->add(std::make_shared<PhotoBlock>(level.channels, config.noise_channels, options));
    return made;
  };
  down_ = register_module("down", std::make_shared<ModuleVector<Blocks>>());
  up_ = register_module("up", std::make_shared<ModuleVector<Blocks>>());
  narrow_ = register_module("narrow", std::make_shared<ModuleVector<Convolution>>());
  widen_ = register_module("widen", std::make_shared<ModuleVector<Convolution>>());
  for (std::size_t i = 0; i + 1 < config.levels.size(); ++i) {
    const std::int64_t fine = config.levels[i].channels, coarse = config.levels[i + 1].channels;
    down_->add(blocks(config.levels[i]));
    up_->add(blocks(config.levels[i]));
    narrow_->add(std::make_shared<Convolution>(fine, coarse, 2, 2, 0, options));
    widen_->add(std::make_shared<Convolution>(coarse, 4 * fine, 1, 1, 0, options));
  }
  middle_ = register_module("middle", blocks(config.levels.back()));

  // 1/4 to 5 in geometric steps, in float32 as PyTorch computes it.
  const at::Tensor steps = at::arange(config.frequencies, at::TensorOptions(at::kFloat));
  frequencies_ =
      steps.mul(std::log(20.0) / static_cast<double>(config.frequencies - 1)).exp().mul(0.25).unsqueeze(0);
  if (!options.tensors.device().is_meta()) frequencies_ = frequencies_.to(options.tensors.device());
}

at::Tensor PhotoUNet::embedding(double log_noise) const {
  const at::Tensor phase = frequencies_ * static_cast<double>(static_cast<float>(log_noise));
  const at::Tensor waves = at::cat({phase.cos(), phase.sin()}, 1).to(options_.tensors.dtype());
  return activate(embed2_->forward(activate(embed1_->forward(waves))));
}

at::Tensor PhotoUNet::through(const Blocks& blocks, at::Tensor x, const at::Tensor& told) const {
  for (std::size_t i = 0; i < blocks.size(); ++i) x = blocks[i].forward(x, told);
  return x;
}

at::Tensor PhotoUNet::forward(const at::Tensor& z_t, double log_noise) const {
  const at::Tensor told = embedding(log_noise);
  at::Tensor x = conv_in_->forward(in_network_format(at::pixel_unshuffle(z_t, 2), options_.kernels));
  std::vector<at::Tensor> kept;
  for (std::size_t i = 0; i < down_->size(); ++i) {
    kept.push_back(through((*down_)[i], x, told));
    x = (*narrow_)[i].forward(kept.back());
  }
  x = through(*middle_, x, told);
  for (std::size_t i = up_->size(); i-- > 0;) {
    const at::Tensor wide = at::pixel_shuffle((*widen_)[i].forward(x), 2);
    x = through((*up_)[i], in_network_format(wide, options_.kernels) + kept[i], told);
    kept.pop_back();
  }
  return at::pixel_shuffle(conv_out_->forward(activate(x)), 2).contiguous();
}

}  // namespace dwgf
