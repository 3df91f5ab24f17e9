#include "prior/models/autoencoder.hpp"

#include <utility>

#include <ATen/ATen.h>

#include "prior/nn/blocks.hpp"

namespace dwgf {
namespace {

constexpr double kEps = 1e-6;  // of every norm in diffusers' Encoder and Decoder

std::shared_ptr<ResidualBlock> residual(const AutoencoderConfig& config, std::int64_t in, std::int64_t out,
                                        const LayerOptions& tensors) {
  return std::make_shared<ResidualBlock>(
      ResidualBlock::Options{
          .in = in, .out = out, .time_channels = 0, .groups = config.norm_groups, .eps = kEps},
      tensors);
}

/// resnets.0, attentions.0, resnets.1
class MiddleBlock : public torch::nn::Module {
 public:
  MiddleBlock(const AutoencoderConfig& config, const LayerOptions& tensors) {
    const std::int64_t channels = config.channels.back();
    residuals_ = register_module("resnets", std::make_shared<ModuleVector<ResidualBlock>>());
    residuals_->add(residual(config, channels, channels, tensors));
    residuals_->add(residual(config, channels, channels, tensors));
    attentions_ = register_module("attentions", std::make_shared<ModuleVector<ImageAttention>>());
    if (config.middle_attention) {
      attentions_->add(std::make_shared<ImageAttention>(
          ImageAttention::Options{.channels = channels, .groups = config.norm_groups, .eps = kEps}, tensors));
    }
  }
  at::Tensor forward(const at::Tensor& x) const {  // [B, C, H, W]
    at::Tensor h = (*residuals_)[0].forward(x, {});
    if (!attentions_->empty()) h = (*attentions_)[0].forward(h);
    return (*residuals_)[1].forward(h, {});
  }
  const ResidualBlock& block(std::size_t i) const { return (*residuals_)[i]; }
  const ImageAttention* attention() const { return attentions_->empty() ? nullptr : &(*attentions_)[0]; }

 private:
  std::shared_ptr<ModuleVector<ResidualBlock>> residuals_;
  std::shared_ptr<ModuleVector<ImageAttention>> attentions_;
};

/// Residual blocks, then a change of resolution (none at the last level).
template <class Resample>
class LevelBlock : public torch::nn::Module {
 public:
  LevelBlock() { residuals_ = register_module("resnets", std::make_shared<ModuleVector<ResidualBlock>>()); }
  void add(std::shared_ptr<ResidualBlock> block) { residuals_->add(std::move(block)); }
  void set_resample(const char* name, std::shared_ptr<Resample> resample) {
    auto list = register_module(name, std::make_shared<ModuleVector<Resample>>());
    list->add(resample);
    resample_ = std::move(resample);
  }
  at::Tensor residuals(at::Tensor h) const {
    for (std::size_t i = 0; i < residuals_->size(); ++i) h = (*residuals_)[i].forward(h, {});
    return h;
  }
  std::size_t size() const { return residuals_->size(); }
  const ResidualBlock& block(std::size_t i) const { return (*residuals_)[i]; }
  const Resample* resample() const { return resample_.get(); }

 private:
  std::shared_ptr<ModuleVector<ResidualBlock>> residuals_;
  std::shared_ptr<Resample> resample_;
};

}  // namespace

class AutoencoderEncoder : public torch::nn::Module {
 public:
  AutoencoderEncoder(const AutoencoderConfig& config, const LayerOptions& tensors) {
    const auto& channels = config.channels;
    conv_in_ = register_module(
        "conv_in", std::make_shared<Convolution>(config.image_channels, channels[0], 3, 1, 1, tensors));
    levels_ = register_module("down_blocks", std::make_shared<ModuleVector<LevelBlock<Downsample>>>());
    std::int64_t in = channels[0];
    for (std::size_t i = 0; i < channels.size(); ++i) {
      auto level = std::make_shared<LevelBlock<Downsample>>();
      for (std::int64_t j = 0; j < config.layers; ++j) {
        level->add(residual(config, std::exchange(in, channels[i]), channels[i], tensors));
      }
      if (i + 1 < channels.size()) {
        level->set_resample("downsamplers", std::make_shared<Downsample>(
                                                channels[i], Downsample::Padding::below_right, tensors));
      }
      levels_->add(level);
    }
    middle_ = register_module("mid_block", std::make_shared<MiddleBlock>(config, tensors));
    norm_out_ = register_module(
        "conv_norm_out", std::make_shared<GroupNorm>(config.norm_groups, channels.back(), kEps, tensors));
    conv_out_ = register_module(
        "conv_out",
        std::make_shared<Convolution>(channels.back(), 2 * config.latent_channels, 3, 1, 1, tensors));
  }

  at::Tensor forward(const at::Tensor& x) const {  // [B, C, H, W] -> [B, 2 c, h, w]
    at::Tensor h = conv_in_->forward(x);
    for (std::size_t i = 0; i < levels_->size(); ++i) {
      const auto& level = (*levels_)[i];
      h = level.residuals(h);
      if (level.resample() != nullptr) h = level.resample()->forward(h);
    }
    return conv_out_->forward(norm_out_->activated(middle_->forward(h)));
  }

 private:
  std::shared_ptr<Convolution> conv_in_, conv_out_;
  std::shared_ptr<ModuleVector<LevelBlock<Downsample>>> levels_;
  std::shared_ptr<MiddleBlock> middle_;
  std::shared_ptr<GroupNorm> norm_out_;
};

class AutoencoderDecoder : public torch::nn::Module {
 public:
  AutoencoderDecoder(const AutoencoderConfig& config, const LayerOptions& tensors)
      : kernels_(tensors.kernels) {
    const auto& channels = config.channels;
    conv_in_ = register_module(
        "conv_in", std::make_shared<Convolution>(config.latent_channels, channels.back(), 3, 1, 1, tensors));
    middle_ = register_module("mid_block", std::make_shared<MiddleBlock>(config, tensors));
    levels_ = register_module("up_blocks", std::make_shared<ModuleVector<LevelBlock<Upsample>>>());
    std::int64_t in = channels.back();
    for (std::size_t i = channels.size(); i-- > 0;) {
      auto level = std::make_shared<LevelBlock<Upsample>>();
      for (std::int64_t j = 0; j <= config.layers; ++j) {
        level->add(residual(config, std::exchange(in, channels[i]), channels[i], tensors));
      }
      if (i > 0) level->set_resample("upsamplers", std::make_shared<Upsample>(channels[i], tensors));
      levels_->add(level);
    }
    norm_out_ = register_module("conv_norm_out",
                                std::make_shared<GroupNorm>(config.norm_groups, channels[0], kEps, tensors));
    conv_out_ = register_module(
        "conv_out", std::make_shared<Convolution>(channels[0], config.image_channels, 3, 1, 1, tensors));
  }

  /// The stages live as long as this decoder.
  void append_to(std::vector<DecoderStage>& stages) const {
    const auto add_residual = [&stages](const ResidualBlock& block) {
      stages.push_back({[&block](const at::Tensor& h) { return block.forward(h, {}); },
                        [&block](const at::Tensor& h) { return block.vjp(h); }});
    };
    add_residual(middle_->block(0));
    if (const ImageAttention* const attention = middle_->attention(); attention != nullptr) {
      stages.push_back({[attention](const at::Tensor& h) { return attention->forward(h); },
                        [attention](const at::Tensor& h) { return attention->vjp(h); }});
    }
    add_residual(middle_->block(1));
    for (std::size_t i = 0; i < levels_->size(); ++i) {
      const auto& level = (*levels_)[i];
      for (std::size_t j = 0; j < level.size(); ++j) add_residual(level.block(j));
      if (const Upsample* const upsample = level.resample(); upsample != nullptr) {
        stages.push_back(
            {[upsample](const at::Tensor& h) { return upsample->forward(h, 2 * h.size(2), 2 * h.size(3)); },
             [upsample](const at::Tensor& h) { return upsample->vjp(h); }});
      }
    }
    stages.push_back({[this](const at::Tensor& h) { return leave(norm_out_->activated(h)); },
                      [this](const at::Tensor& h) { return leave_vjp(h); }});
  }
  at::Tensor enter(const at::Tensor& z) const { return conv_in_->forward(z); }
  at::Tensor enter_vjp(const at::Tensor& cotangent) const { return conv_in_->vjp(cotangent); }

 private:
  at::Tensor leave(const at::Tensor& activated) const { return conv_out_->forward(activated).contiguous(); }
  Vjp leave_vjp(const at::Tensor& h) const {
    const auto [activated, statistics] = norm_out_->activated_with_statistics(h);
    return {leave(activated), [this, h, of_h = statistics](const at::Tensor& cotangent) {
              return norm_out_->activated_vjp(conv_out_->vjp(in_network_format(cotangent, kernels_)), h,
                                              of_h);
            }};
  }

  std::shared_ptr<Convolution> conv_in_, conv_out_;
  std::shared_ptr<ModuleVector<LevelBlock<Upsample>>> levels_;
  std::shared_ptr<MiddleBlock> middle_;
  std::shared_ptr<GroupNorm> norm_out_;
  Kernels kernels_;
};

Autoencoder::Autoencoder(const AutoencoderConfig& config, const LayerOptions& options)
    : kernels_(options.kernels) {
  const std::int64_t c = config.latent_channels;
  encoder_ = register_module("encoder", std::make_shared<AutoencoderEncoder>(config, options));
  if (config.quant_conv) {
    quant_conv_ =
        register_module("quant_conv", std::make_shared<Convolution>(2 * c, 2 * c, 1, 1, 0, options));
  }
  decoder_ = register_module("decoder", std::make_shared<AutoencoderDecoder>(config, options));
  if (config.post_quant_conv) {
    post_quant_conv_ =
        register_module("post_quant_conv", std::make_shared<Convolution>(c, c, 1, 1, 0, options));
  }
  const auto enter = [decoder = decoder_, post_quant = post_quant_conv_,
                      kernels = kernels_](const at::Tensor& z) {
    const at::Tensor h = in_network_format(z, kernels);
    return decoder->enter(post_quant ? post_quant->forward(h) : h);
  };
  const auto pull = [decoder = decoder_, post_quant = post_quant_conv_](const at::Tensor& cotangent) {
    const at::Tensor c = decoder->enter_vjp(cotangent);
    return (post_quant ? post_quant->vjp(c) : c).contiguous();
  };
  stages_.push_back({enter, [enter, pull](const at::Tensor& z) { return Vjp{enter(z), pull}; }});
  decoder_->append_to(stages_);
}

at::Tensor Autoencoder::decode(const at::Tensor& z) const {
  at::Tensor h = z;
  for (const auto& stage : stages_) h = stage.forward(h);
  return h;
}

EncodedMoments Autoencoder::encode(const at::Tensor& x) const {
  at::Tensor moments = encoder_->forward(in_network_format(x, kernels_));  // [B, 2 c, h, w]
  if (quant_conv_) moments = quant_conv_->forward(moments);
  moments = moments.contiguous();
  const auto halves = moments.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30.0, 20.0)};
}

}  // namespace dwgf
