#include "prior/models/tiny_autoencoder.hpp"

#include <set>
#include <utility>

#include <ATen/ATen.h>

#include "prior/nn/blocks.hpp"

namespace dwgf {
namespace {

constexpr double kRange = 3.0;  // of latents, as TAESD was trained

using Layers = ModuleVector<torch::nn::Module>;

/// relu(x). Takes x over and overwrites it.
at::Tensor rectified(at::Tensor x) {
  return x.relu_();
}

/// J^T c of relu, by its result.
at::Tensor relu_vjp(const at::Tensor& cotangent, const at::Tensor& result) {
  return at::threshold_backward(cotangent, result, 0);
}

std::shared_ptr<Convolution> convolution(std::int64_t in, std::int64_t out, const LayerOptions& tensors) {
  return std::make_shared<Convolution>(in, out, 3, 1, 1, tensors);
}

/// y = relu(x + conv.4(relu(conv.2(relu(conv.0(x))))))
class TinyBlock : public torch::nn::Module {
 public:
  TinyBlock(std::int64_t channels, const LayerOptions& tensors) {
    auto list = register_module("conv", std::make_shared<ModuleVector<Convolution>>());
    for (std::size_t i = 0; i < 3; ++i)
      list->add(convs_[i] = convolution(channels, channels, tensors), 2 * i);
  }

  at::Tensor forward(const at::Tensor& x) const {  // [B, C, H, W]
    return finish(rectified(convs_[1]->forward(rectified(convs_[0]->forward(x)))), x);
  }

  /// Keeps the results of its three convolutions.
  Vjp vjp(const at::Tensor& x) const {
    const at::Tensor first = rectified(convs_[0]->forward(x));
    const at::Tensor second = rectified(convs_[1]->forward(first));
    const at::Tensor y = finish(second, x);
    return {y, [this, first, second, y](const at::Tensor& cotangent) {
              const at::Tensor to_sum = relu_vjp(cotangent, y);
              const at::Tensor to_second = relu_vjp(convs_[2]->vjp(to_sum), second);
              return convs_[0]->vjp(relu_vjp(convs_[1]->vjp(to_second), first)).add_(to_sum);
            }};
  }

 private:
  at::Tensor finish(const at::Tensor& second, const at::Tensor& x) const {
    return rectified(convs_[2]->forward_onto(second, x));
  }

  std::shared_ptr<Convolution> convs_[3];
};

}  // namespace

class TinyEncoder : public torch::nn::Module {
 public:
  TinyEncoder(const TinyAutoencoderConfig& config, const LayerOptions& tensors) : kernels_(tensors.kernels) {
    auto layers = register_module("layers", std::make_shared<Layers>());
    const auto add = [&](const auto& layer) {
      layers->add(layer);
      chain_.push_back([layer = layer.get()](const at::Tensor& x) { return layer->forward(x); });
    };
    const std::int64_t channels = config.channels;
    for (std::size_t i = 0; i < config.encoder_blocks.size(); ++i) {
      add(i == 0
              ? convolution(config.image_channels, channels, tensors)
              : std::make_shared<Convolution>(channels, channels, 3, 2, 1, tensors, Convolution::Bias::none));
      for (std::int64_t j = 0; j < config.encoder_blocks[i]; ++j)
        add(std::make_shared<TinyBlock>(channels, tensors));
    }
    add(convolution(channels, config.latent_channels, tensors));
  }

  at::Tensor forward(const at::Tensor& x) const {  // [B, C, H, W] -> [B, c, h, w]
    at::Tensor h = in_network_format(x.add(1).div(2), kernels_);
    for (const auto& layer : chain_) h = layer(h);
    return h.contiguous();
  }

 private:
  std::vector<std::function<at::Tensor(const at::Tensor&)>> chain_;
  Kernels kernels_;
};

class TinyDecoder : public torch::nn::Module {
 public:
  TinyDecoder(const TinyAutoencoderConfig& config, const LayerOptions& tensors) : kernels_(tensors.kernels) {
    auto layers = register_module("layers", std::make_shared<Layers>());
    std::size_t index = 0;
    into_ = convolution(config.latent_channels, config.channels, tensors);
    layers->add(into_, index);
    index += 2;  // and its relu
    stages_.push_back({[this](const at::Tensor& z) { return enter(z); },
                       [this](const at::Tensor& z) { return enter_vjp(z); }});
    for (std::size_t i = 0; i < config.decoder_blocks.size(); ++i) {
      for (std::int64_t j = 0; j < config.decoder_blocks[i]; ++j) {
        auto block = std::make_shared<TinyBlock>(config.channels, tensors);
        layers->add(block, index++);
        stages_.push_back({[block = block.get()](const at::Tensor& h) { return block->forward(h); },
                           [block = block.get()](const at::Tensor& h) { return block->vjp(h); }});
      }
      if (i + 1 == config.decoder_blocks.size()) break;
      auto upsample = std::make_shared<Upsample>(config.channels, tensors, Convolution::Bias::none);
      layers->add(upsample, index + 1);  // where the convolution is stored, after the doubling
      index += 2;
      stages_.push_back({[upsample = upsample.get()](const at::Tensor& h) {
                           return upsample->forward(h, 2 * h.size(2), 2 * h.size(3));
                         },
                         [upsample = upsample.get()](const at::Tensor& h) { return upsample->vjp(h); }});
    }
    out_ = convolution(config.channels, config.image_channels, tensors);
    layers->add(out_, index);
    stages_.push_back({[this](const at::Tensor& h) { return leave(h); },
                       [this](const at::Tensor& h) {
                         return Vjp{leave(h), [this](const at::Tensor& cotangent) {
                                      return out_->vjp(in_network_format(cotangent * 2.0, kernels_));
                                    }};
                       }});
  }

  /// They live as long as this decoder.
  const std::vector<DecoderStage>& stages() const { return stages_; }

 private:
  at::Tensor enter(const at::Tensor& z) const {
    const at::Tensor bounded = at::tanh(z / kRange) * kRange;
    return rectified(into_->forward(in_network_format(bounded, kernels_)));
  }
  Vjp enter_vjp(const at::Tensor& z) const {
    const at::Tensor h = enter(z);
    return {h, [this, z, h](const at::Tensor& cotangent) {
              const at::Tensor to_bounded = into_->vjp(relu_vjp(cotangent, h)).contiguous();
              return to_bounded * (1.0 - at::tanh(z / kRange).square());
            }};
  }
  at::Tensor leave(const at::Tensor& h) const { return out_->forward(h).contiguous().mul_(2.0).sub_(1.0); }

  std::shared_ptr<Convolution> into_, out_;
  std::vector<DecoderStage> stages_;
  Kernels kernels_;
};

TinyAutoencoder::TinyAutoencoder(const TinyAutoencoderConfig& config, const LayerOptions& options) {
  encoder_ = register_module("encoder", std::make_shared<TinyEncoder>(config, options));
  decoder_ = register_module("decoder", std::make_shared<TinyDecoder>(config, options));
  stages_ = decoder_->stages();
}

at::Tensor TinyAutoencoder::decode(const at::Tensor& z) const {
  at::Tensor h = z;
  for (const DecoderStage& stage : stages_) h = stage.forward(h);
  return h;
}

EncodedMoments TinyAutoencoder::encode(const at::Tensor& x) const {
  return {encoder_->forward(x), {}};
}

NameRule tiny_names(const TinyAutoencoderConfig& config) {
  std::map<std::string, std::string> doubled;
  std::int64_t index = 2;
  for (std::size_t i = 0; i + 1 < config.decoder_blocks.size(); ++i) {
    index += config.decoder_blocks[i] + 2;
    const std::string layer = "decoder.layers." + std::to_string(index - 1) + ".";
    doubled.emplace(layer + "weight", layer + "conv.weight");
  }
  return [doubled = std::move(doubled)](const std::string& stored) -> std::optional<std::string> {
    const auto found = doubled.find(stored);
    return found == doubled.end() ? stored : found->second;
  };
}

}  // namespace dwgf
