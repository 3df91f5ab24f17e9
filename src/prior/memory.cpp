#include <algorithm>
#include <cstdint>

#include <dwgf/prior/memory.hpp>

namespace dwgf {
namespace {

/// Numbers, not bytes, until the end.
using Numbers = double;

/// A convolution in -> out at P positions: copies of input and result in blocks of channels, and of the weights.
Numbers convolution(double in, double out, double positions, double kernel = 9) {
  return positions * (in + out) + kernel * in * out;
}

/// What a residual block holds beside its input and its result at its worst moment: two tensors of `out` and the second convolution.
Numbers residual_peak(double in, double out, double positions) {
  const Numbers first = positions * (in + out) + convolution(in, out, positions);
  const Numbers second = positions * 2 * out + convolution(out, out, positions);
  return std::max(first, second);
}

/// What a residual block keeps for its backward pass: the inputs of its norms, activations and convolutions.
Numbers residual_kept(double in, double out, double positions) {
  return positions * (2 * in + 4 * out);
}

struct Decoder {
  Numbers forward = 0;   // the worst block: input, result, inner
  Numbers graph = 0;     // all that plain keeps
  Numbers inputs = 0;    // all that recompute keeps
  Numbers again = 0;     // inputs kept up to a block and its graph, at the worst block
  Numbers backward = 0;  // the worst block's inner gradients
};

Decoder decoder_numbers(const AutoencoderConfig& config, double positions, bool fine_only) {
  Decoder sums;
  const auto block = [&](double in, double out, double p, bool upsample) {
    const double q = upsample ? 4 * p : p;
    const Numbers inner = upsample ? q * in + convolution(in, out, q) : residual_peak(in, out, p);
    const Numbers kept = upsample ? q * (in + out) : residual_kept(in, out, p);
    sums.forward = std::max(sums.forward, p * in + q * out + inner);
    sums.inputs += p * in;
    sums.graph += kept;
    const Numbers gradients = q * out + inner;
    sums.backward = std::max(sums.backward, gradients);
    sums.again = std::max(sums.again, sums.inputs + kept + gradients);
  };
  const auto& channels = config.channels;
  double in = static_cast<double>(channels.back()), p = positions;
  if (!fine_only) {
    block(in, in, p, false);
    if (config.middle_attention) block(in, in, p, false);
    block(in, in, p, false);
  }
  for (std::size_t i = channels.size(); i-- > 0;) {
    const auto out = static_cast<double>(channels[i]);
    for (std::int64_t j = 0; j <= config.layers; ++j) {
      block(in, out, p, false);
      in = out;
    }
    if (i > 0) {
      block(in, in, p, true);
      p *= 4;
    }
  }
  block(in, static_cast<double>(config.image_channels), p, false);
  return sums;
}

std::uint64_t bytes(Numbers numbers, const CallSize& size) {
  return static_cast<std::uint64_t>(numbers * static_cast<double>(size.element));
}

double positions_of(const CallSize& size) {
  return static_cast<double>(size.batch) * static_cast<double>(size.latent_height) *
         static_cast<double>(size.latent_width);
}

}  // namespace

std::uint64_t decoder_bytes(const AutoencoderConfig& config, const CallSize& size) {
  return bytes(decoder_numbers(config, positions_of(size), false).forward, size);
}

GradientBytes decoder_gradient_bytes(const AutoencoderConfig& config, DecoderGradient how,
                                     const CallSize& size) {
  const Decoder whole = decoder_numbers(config, positions_of(size), false);
  if (how == DecoderGradient::plain)
    return {bytes(whole.graph, size), bytes(whole.graph + whole.backward, size)};
  return {bytes(whole.inputs, size), bytes(whole.again, size)};
}

}  // namespace dwgf
