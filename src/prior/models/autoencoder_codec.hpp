/// An autoencoder as a codec, on the denoiser's scale: D(z) = decoder(z / scaling_factor + shift_factor), and
/// the encoder's mean m and standard deviation s (0 where it gives a point) become
/// (m - shift_factor) * scaling_factor and s * scaling_factor.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/codec.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "prior/models/codec_network.hpp"
#include "prior/models/memory.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

/// What `plain` may take before `recompute` is chosen: kPlainGradientBytes, and on a device half of what is
/// free there now, if that is more. The bits are the same either way.
std::uint64_t plain_gradient_limit(const at::Device& device);

/// `wanted`, or where nothing is: recompute where plain would take more than `limit`.
template <class Config>
DecoderGradient chosen_gradient(const Config& config, std::optional<DecoderGradient> wanted,
                                const CallSize& size, std::uint64_t limit) {
  if (wanted) return *wanted;
  const GradientBytes plain = decoder_gradient_bytes(config, DecoderGradient::plain, size);
  return plain.peak > limit ? DecoderGradient::recompute : DecoderGradient::plain;
}

/// The sizes and the scale that a configuration names.
template <class Config>
CodecScale scale_of(const Config& config) {
  return {.image_channels = config.image_channels,
          .latent_channels = config.latent_channels,
          .factor = config.factor(),
          .scaling_factor = config.scaling_factor,
          .shift_factor = config.shift_factor};
}

class AutoencoderCodec final : public Codec {
 public:
  /// How the decoder's gradient is made in a call of this size.
  using GradientChoice = std::function<DecoderGradient(const CallSize&)>;

  /// `tensors`: type and device of what is taken and returned. @pre `network` is of this scale
  AutoencoderCodec(std::shared_ptr<const CodecNetwork> network, const CodecScale& scale,
                   const at::TensorOptions& tensors, NetworkPrecision precision, GradientChoice gradient);

  /// As Codec has it. @pre z [B, c, h, w] and x [B, C, H, W] of the prior's type and device: InternalError
  /// for any other; DataError for an image whose sides are no multiples of the factor.
  at::Tensor decode(const at::Tensor& z) const override;
  Vjp decode_vjp(const at::Tensor& z) const override;
  LatentDistribution encode(const at::Tensor& x) const override;
  Vjp encode_vjp(const at::Tensor& x) const override;

 private:
  at::Tensor to_network(const at::Tensor& z) const;
  void check_images(const at::Tensor& x) const;

  std::shared_ptr<const CodecNetwork> network_;
  CodecScale scale_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
  GradientChoice gradient_;
};

}  // namespace dwgf
