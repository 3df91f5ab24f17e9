#include "prior/models/unet.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "prior/nn/blocks.hpp"

namespace dwgf {
namespace {

/// What follows a residual block where a level has attention.
std::shared_ptr<TensorModule> attention(const UNetConfig& config, const UNetLevel& level,
                                        const LayerOptions& tensors) {
  if (config.context_channels == 0) {
    return std::make_shared<ImageAttention>(ImageAttention::Options{.channels = level.channels,
                                                                    .heads = level.heads,
                                                                    .groups = config.norm_groups,
                                                                    .eps = config.norm_eps},
                                            tensors);
  }
  return std::make_shared<ImageTransformer>(
      ImageTransformer::Options{.channels = level.channels,
                                .context_channels = config.context_channels,
                                .heads = level.heads,
                                .layers = level.transformer_layers,
                                .groups = config.norm_groups,
                                .linear_projection = config.linear_projection},
      tensors);
}

std::shared_ptr<ResidualBlock> residual(const UNetConfig& config, std::int64_t in, std::int64_t out,
                                        const LayerOptions& tensors) {
  return std::make_shared<ResidualBlock>(ResidualBlock::Options{.in = in,
                                                                .out = out,
                                                                .time_channels = config.time_channels,
                                                                .groups = config.norm_groups,
                                                                .eps = config.norm_eps},
                                         tensors);
}

/// 10000^(-i / (half - 1)), [1, half] float32, operation by operation as diffusers' LCM pipelines.
at::Tensor guidance_frequencies(std::int64_t channels) {
  const std::int64_t half = channels / 2;
  const at::Tensor base = at::full({}, 10000.0, at::kFloat).log() / (half - 1);
  return (at::arange(half, at::TensorOptions(at::kFloat)) * -base).exp().unsqueeze(0);
}

}  // namespace

/// What every block is told beside its input.
struct Given {
  at::Tensor time;     // silu(temb) [S, E]; every block would apply it again
  at::Tensor context;  // [S, tokens, context_channels]
  std::map<const ResidualBlock*, at::Tensor> offsets = {};  // what each block makes of the time, or nothing
};

/// Residual blocks, each with attention after it where the level has any. What the three kinds of block
/// share.
class UNetBlock : public torch::nn::Module {
 protected:
  UNetBlock() {
    residuals_ = register_module("resnets", std::make_shared<ModuleVector<ResidualBlock>>());
    attentions_ = register_module("attentions", std::make_shared<ModuleVector<TensorModule>>());
  }
  at::Tensor residual_block(std::size_t i, const at::Tensor& x, const Given& given) const {
    const ResidualBlock& block = (*residuals_)[i];
    const auto offset = given.offsets.find(&block);
    return offset == given.offsets.end() ? block.forward(x, given.time)
                                         : block.forward_with_offset(x, offset->second);
  }
  at::Tensor layer(std::size_t i, const at::Tensor& x, const Given& given) const {
    const at::Tensor h = residual_block(i, x, given);
    return attentions_->empty() ? h : (*attentions_)[i].forward(h, given.context);
  }
  std::shared_ptr<ModuleVector<ResidualBlock>> residuals_;
  std::shared_ptr<ModuleVector<TensorModule>> attentions_;
};

class UNetDownBlock : public UNetBlock {
 public:
  UNetDownBlock(const UNetConfig& config, std::size_t index, const LayerOptions& tensors) {
    const UNetLevel& level = config.levels[index];
    std::int64_t in = config.levels[index == 0 ? 0 : index - 1].channels;
    for (std::int64_t i = 0; i < level.layers; ++i) {
      residuals_->add(residual(config, in, level.channels, tensors));
      if (level.attention_down) attentions_->add(attention(config, level, tensors));
      in = level.channels;
    }
    if (index + 1 < config.levels.size()) {
      downsamplers_ = register_module("downsamplers", std::make_shared<ModuleVector<Downsample>>());
      const auto padding =
          config.pad_below_right ? Downsample::Padding::below_right : Downsample::Padding::symmetric;
      downsamplers_->add(std::make_shared<Downsample>(level.channels, padding, tensors));
    }
  }

  /// Every result also goes onto `skips`.
  at::Tensor forward(at::Tensor h, const Given& given, std::vector<at::Tensor>& skips) const {
    for (std::size_t i = 0; i < residuals_->size(); ++i) {
      h = layer(i, h, given);
      skips.push_back(h);
    }
    if (downsamplers_) {
      h = (*downsamplers_)[0].forward(h);
      skips.push_back(h);
    }
    return h;
  }

 private:
  std::shared_ptr<ModuleVector<Downsample>> downsamplers_;
};

class UNetMiddleBlock : public UNetBlock {
 public:
  UNetMiddleBlock(const UNetConfig& config, const LayerOptions& tensors) {
    const UNetLevel& level = config.levels.back();
    residuals_->add(residual(config, level.channels, level.channels, tensors));
    if (config.middle_attention) attentions_->add(attention(config, level, tensors));
    residuals_->add(residual(config, level.channels, level.channels, tensors));
  }

  at::Tensor forward(const at::Tensor& x, const Given& given) const {
    return residual_block(1, layer(0, x, given), given);
  }
};

class UNetUpBlock : public UNetBlock {
 public:
  /// @param index of the level: blocks are built from the coarsest to the finest.
  UNetUpBlock(const UNetConfig& config, std::size_t index, const LayerOptions& tensors) {
    const UNetLevel& level = config.levels[index];
    const std::int64_t finer = config.levels[index == 0 ? 0 : index - 1].channels;
    std::int64_t in = config.levels[std::min(index + 1, config.levels.size() - 1)].channels;
    for (std::int64_t i = 0; i <= level.layers; ++i) {
      // The last skip connection comes from the finer level's downsampler, or from conv_in.
      const std::int64_t skip = i == level.layers ? finer : level.channels;
      residuals_->add(residual(config, in + skip, level.channels, tensors));
      if (level.attention_up) attentions_->add(attention(config, level, tensors));
      in = level.channels;
    }
    if (index > 0) {
      upsamplers_ = register_module("upsamplers", std::make_shared<ModuleVector<Upsample>>());
      upsamplers_->add(std::make_shared<Upsample>(level.channels, tensors));
    }
  }

  /// Takes its skip connections off the end of `skips`.
  at::Tensor forward(at::Tensor h, const Given& given, std::vector<at::Tensor>& skips) const {
    for (std::size_t i = 0; i < residuals_->size(); ++i) {
      h = layer(i, at::cat({h, skips.back()}, 1), given);
      skips.pop_back();
    }
    // To the size of what comes next, which also is right where a size was odd.
    if (upsamplers_) h = (*upsamplers_)[0].forward(h, skips.back().size(2), skips.back().size(3));
    return h;
  }

 private:
  std::shared_ptr<ModuleVector<Upsample>> upsamplers_;
};

UNet::UNet(const UNetConfig& config, const LayerOptions& options) : config_(config), options_(options) {
  const std::int64_t first = config.levels.front().channels;
  conv_in_ = register_module("conv_in",
                             std::make_shared<Convolution>(config.latent_channels, first, 3, 1, 1, options));

  struct TimeEmbedding : torch::nn::Module {};
  auto embedding = register_module("time_embedding", std::make_shared<TimeEmbedding>());
  time_linear1_ = embedding->register_module(
      "linear_1", std::make_shared<Linear>(first, config.time_channels, true, options));
  time_linear2_ = embedding->register_module(
      "linear_2", std::make_shared<Linear>(config.time_channels, config.time_channels, true, options));
  if (config.guidance_channels > 0) {
    guidance_projection_ = embedding->register_module(
        "cond_proj", std::make_shared<Linear>(config.guidance_channels, first, false, options));
  }

  if (config.size_channels > 0)
    added_ = register_module("add_embedding", std::make_shared<AddedEmbedding>(config, options));

  down_blocks_ = register_module("down_blocks", std::make_shared<ModuleVector<UNetDownBlock>>());
  up_blocks_ = register_module("up_blocks", std::make_shared<ModuleVector<UNetUpBlock>>());
  for (std::size_t i = 0; i < config.levels.size(); ++i) {
    down_blocks_->add(std::make_shared<UNetDownBlock>(config, i, options));
    up_blocks_->add(std::make_shared<UNetUpBlock>(config, config.levels.size() - 1 - i, options));
  }
  middle_block_ = register_module("mid_block", std::make_shared<UNetMiddleBlock>(config, options));
  norm_out_ = register_module(
      "conv_norm_out", std::make_shared<GroupNorm>(config.norm_groups, first, config.norm_eps, options));
  const std::int64_t out = (config.learned_variance ? 2 : 1) * config.latent_channels;
  conv_out_ = register_module("conv_out", std::make_shared<Convolution>(first, out, 3, 1, 1, options));

  for (const auto& module : modules(/*include_self=*/false)) {
    const auto* const block = dynamic_cast<const ResidualBlock*>(module.get());
    if (block && block->sees_time()) time_offsets_.add(*block);
  }

  // frequency_i = 10000^(-i / (half - shift)), operation by operation as diffusers' get_timestep_embedding.
  const std::int64_t half = first / 2;
  const at::Tensor exponent = at::arange(half, at::TensorOptions(at::kFloat)).mul(-std::log(10000.0));
  frequencies_ = exponent.div(half - config.frequency_shift).exp().unsqueeze(0);  // [1, half]
  if (config.guidance_channels > 0) guidance_frequencies_ = guidance_frequencies(config.guidance_channels);
  const at::Device device = options.tensors.device();
  if (device.is_meta()) return;
  frequencies_ = frequencies_.to(device);
  if (guidance_frequencies_.defined()) guidance_frequencies_ = guidance_frequencies_.to(device);
}

at::Tensor UNet::sinusoidal_embedding(double time) const {
  const at::Tensor phase = frequencies_ * time;  // [1, half] float32
  const at::Tensor sine = phase.sin(), cosine = phase.cos();
  return (config_.cosine_first ? at::cat({cosine, sine}, 1) : at::cat({sine, cosine}, 1))
      .to(options_.tensors.dtype());
}

at::Tensor UNet::guidance_embedding(double guidance) const {
  const float told = static_cast<float>(guidance - 1.0) * 1000.0F;
  const at::Tensor phase = guidance_frequencies_ * told;  // [1, half] float32
  return at::cat({phase.sin(), phase.cos()}, 1).to(options_.tensors.dtype());
}

at::Tensor UNet::forward(const at::Tensor& z_t, double time, const at::Tensor& context,
                         double guidance) const {
  return forward(z_t, time, Conditioning{.tokens = context, .guidance = guidance});
}

at::Tensor UNet::forward(const at::Tensor& z_t, double time, const Conditioning& told) const {
  at::Tensor level = sinusoidal_embedding(time);
  if (guidance_projection_) level = level + guidance_projection_->forward(guidance_embedding(told.guidance));
  at::Tensor embedding = time_linear2_->forward(activate(time_linear1_->forward(level)));
  if (added_) embedding = embedding + added_->forward(told.pooled, told.sizes);  // [S, E]
  Given given{activate(embedding), told.tokens};
  if (options_.kernels == Kernels::device) given.offsets = time_offsets_.of(given.time);

  at::Tensor h = conv_in_->forward(in_network_format(z_t, options_.kernels));  // [B, channels, h, w]
  std::vector<at::Tensor> skips{h};
  for (std::size_t i = 0; i < down_blocks_->size(); ++i) h = (*down_blocks_)[i].forward(h, given, skips);
  h = middle_block_->forward(h, given);
  for (std::size_t i = 0; i < up_blocks_->size(); ++i) h = (*up_blocks_)[i].forward(h, given, skips);
  h = conv_out_->forward(norm_out_->activated(h));  // [B, c, h, w], or [B, 2 c, h, w]
  return (config_.learned_variance ? h.narrow(1, 0, config_.latent_channels) : h).contiguous();
}

}  // namespace dwgf
