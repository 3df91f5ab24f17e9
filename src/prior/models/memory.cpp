#include "prior/models/memory.hpp"

#include <algorithm>
#include <vector>

namespace dwgf {
namespace {

/// How many numbers are held; bytes in the end.
using Numbers = double;

/// Of a 3x3 convolution: the weights once more, as they are brought into their format. Input and result are
/// used as they lie.
Numbers convolution(Numbers in, Numbers out) {
  return 9 * in * out;
}

/// What a residual block holds beside its input and its result at the worst moment of its forward pass.
Numbers residual_inner(Numbers in, Numbers out, Numbers positions) {
  const Numbers first = positions * (in + out) + convolution(in, out);
  const Numbers second = positions * 2 * out + convolution(out, out);
  return std::max(first, second);
}

/// What it keeps for its backward pass: its input and the first convolution's result.
Numbers residual_kept(Numbers in, Numbers out, Numbers positions) {
  return positions * (in + out);
}

/// One of the decoder's blocks.
struct Block {
  Numbers input = 0, result = 0;
  Numbers inner = 0;  ///< beside both, at the worst moment of either pass
  Numbers kept = 0;   ///< for the backward pass
};

std::vector<Block> decoder_blocks(const AutoencoderConfig& config, Numbers positions) {
  std::vector<Block> blocks;
  const auto residual = [&](Numbers in, Numbers out, Numbers p) {
    blocks.push_back({p * in, p * out, residual_inner(in, out, p), residual_kept(in, out, p)});
  };
  Numbers in = static_cast<Numbers>(config.channels.back()), p = positions;
  for (int i = 0; i < (config.middle_attention ? 3 : 2); ++i) residual(in, in, p);
  for (std::size_t i = config.channels.size(); i-- > 0;) {
    const auto out = static_cast<Numbers>(config.channels[i]);
    for (std::int64_t j = 0; j <= config.layers; ++j) {
      residual(in, out, p);
      in = out;
    }
    if (i == 0) break;
    blocks.push_back({p * in, 4 * p * in, 4 * p * in + convolution(in, 2 * in), 0});
    p *= 4;
  }
  const auto image = static_cast<Numbers>(config.image_channels);
  blocks.push_back({p * in, p * image, p * in + convolution(in, image), p * in});
  return blocks;
}

/// Of convolutions, whose results are overwritten by what follows them.
std::vector<Block> decoder_blocks(const TinyAutoencoderConfig& config, Numbers positions) {
  const auto channels = static_cast<Numbers>(config.channels);
  const Numbers weights = convolution(channels, channels);
  Numbers p = positions;
  std::vector<Block> blocks = {{p * static_cast<Numbers>(config.latent_channels), p * channels, weights, 0}};
  for (std::size_t i = 0; i < config.decoder_blocks.size(); ++i) {
    for (std::int64_t j = 0; j < config.decoder_blocks[i]; ++j)
      blocks.push_back({p * channels, p * channels, 2 * p * channels + weights, 3 * p * channels});
    if (i + 1 == config.decoder_blocks.size()) break;
    blocks.push_back({p * channels, 4 * p * channels, 4 * p * channels + 2 * weights, 0});
    p *= 4;
  }
  const auto image = static_cast<Numbers>(config.image_channels);
  blocks.push_back({p * channels, p * image, p * channels + weights, 0});
  return blocks;
}

Numbers forward_peak(const std::vector<Block>& blocks) {
  Numbers peak = 0;
  for (const Block& block : blocks) peak = std::max(peak, block.input + block.result + block.inner);
  return peak;
}

/// With everything kept.
struct Gradient {
  Numbers kept = 0, peak = 0;
};

Gradient plain_gradient(const std::vector<Block>& blocks) {
  Gradient sums;
  Numbers inner = 0;
  for (const Block& block : blocks) {
    sums.kept += block.kept;
    inner = std::max(inner, block.result + block.inner);
  }
  sums.peak = sums.kept + inner;
  return sums;
}

/// With the blocks' inputs kept, each block run again.
Gradient recomputed_gradient(const std::vector<Block>& blocks) {
  Gradient sums;
  for (const Block& block : blocks) {
    sums.kept += block.input;
    sums.peak = std::max(sums.peak, sums.kept + block.kept + block.result + block.inner);
  }
  return sums;
}

Numbers positions_of(const CallSize& size) {
  return static_cast<Numbers>(size.batch) * static_cast<Numbers>(size.latent_height) *
         static_cast<Numbers>(size.latent_width);
}

std::uint64_t bytes(Numbers numbers, const CallSize& size) {
  return static_cast<std::uint64_t>(numbers * static_cast<Numbers>(size.element));
}

GradientBytes gradient_bytes(const std::vector<Block>& blocks, DecoderGradient how, const CallSize& size) {
  const Gradient gradient =
      how == DecoderGradient::plain ? plain_gradient(blocks) : recomputed_gradient(blocks);
  return {bytes(gradient.kept, size), bytes(gradient.peak, size)};
}

}  // namespace

std::uint64_t unet_bytes(const UNetConfig& config, const CallSize& size) {
  Numbers skips = 0, inner = 0, p = positions_of(size);
  for (const UNetLevel& level : config.levels) {
    const auto channels = static_cast<Numbers>(level.channels);
    skips += p * channels * static_cast<Numbers>(level.layers + 1);
    inner = std::max(inner, p * 2 * channels + residual_inner(2 * channels, channels, p));
    // A transformer's widest moment: 8 channels each for its feed-forward layer, 4 for what is kept of them.
    if (level.attention_down || level.attention_up) inner = std::max(inner, p * 14 * channels);
    p /= 4;
  }
  return bytes(skips + inner, size);
}

std::uint64_t joint_transformer_bytes(const JointTransformerConfig& config, const CallSize& size,
                                      std::int64_t prompt_tokens) {
  const auto channels = static_cast<Numbers>(config.channels()), batch = static_cast<Numbers>(size.batch);
  const Numbers image = positions_of(size) / static_cast<Numbers>(config.patch * config.patch) * channels;
  const Numbers prompt = batch * static_cast<Numbers>(prompt_tokens) * channels;
  // Both streams as they were, normed, moved and attended, queries, keys and values of both, their result in
  // two orders and projected, and of the image what is added up. With a second attention the first one's
  // result is there too, and a norm of queries and keys has its squares and quotients.
  const Numbers joined = 10 * (image + prompt) + 2 * image;
  const bool more = config.norm_of_queries_and_keys || !config.dual_layers.empty();
  return bytes(joined + (more ? 3 * image : 0), size);
}

std::uint64_t photo_unet_bytes(const PhotoUNetConfig& config, const CallSize& size) {
  Numbers skips = 0, inner = 0, p = positions_of(size) / 4;
  for (const PhotoUNetLevel& level : config.levels) {
    const auto channels = static_cast<Numbers>(level.channels);
    skips += p * channels;
    // A block's input, its activation and the first convolution's result; four times the channels of half
    // the resolution that become positions are as many numbers as one of these.
    inner = std::max(inner, 3 * p * channels + convolution(channels, channels));
    p /= 4;
  }
  return bytes(skips + inner, size);
}

std::uint64_t encoder_bytes(const AutoencoderConfig& config, const CallSize& size) {
  // Its blocks are the decoder's in reverse order, one less a level; where channels grow, the narrower side
  // counts.
  Numbers p = positions_of(size), peak = 0;
  for (std::size_t i = config.channels.size(); i-- > 0;) {
    const auto channels = static_cast<Numbers>(config.channels[i]);
    peak = std::max(peak, p * 3 * channels + residual_inner(channels, channels, p));
    p *= 4;
  }
  return bytes(peak, size);
}

std::uint64_t decoder_bytes(const AutoencoderConfig& config, const CallSize& size) {
  return bytes(forward_peak(decoder_blocks(config, positions_of(size))), size);
}

std::uint64_t encoder_bytes(const TinyAutoencoderConfig& config, const CallSize& size) {
  const auto channels = static_cast<Numbers>(config.channels);
  const Numbers finest = positions_of(size) * static_cast<Numbers>(config.factor() * config.factor());
  return bytes(3 * finest * channels + convolution(channels, channels), size);
}

std::uint64_t decoder_bytes(const TinyAutoencoderConfig& config, const CallSize& size) {
  return bytes(forward_peak(decoder_blocks(config, positions_of(size))), size);
}

GradientBytes decoder_gradient_bytes(const AutoencoderConfig& config, DecoderGradient how,
                                     const CallSize& size) {
  return gradient_bytes(decoder_blocks(config, positions_of(size)), how, size);
}

GradientBytes decoder_gradient_bytes(const TinyAutoencoderConfig& config, DecoderGradient how,
                                     const CallSize& size) {
  return gradient_bytes(decoder_blocks(config, positions_of(size)), how, size);
}

}  // namespace dwgf
