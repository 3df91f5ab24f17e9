/// An autoencoder as a codec, on the denoiser's scale: D(z) = decoder(z / scaling_factor + shift_factor), and
/// the encoder's mean m and standard deviation s become (m - shift_factor) * scaling_factor and
/// s * scaling_factor.
#pragma once

#include <memory>
#include <optional>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/codec.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "prior/models/autoencoder.hpp"
#include "prior/models/memory.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

/// `wanted`, or where nothing is: recompute where plain would take more than kPlainGradientBytes.
DecoderGradient chosen_gradient(const AutoencoderConfig& config, std::optional<DecoderGradient> wanted,
                                const CallSize& size);

class AutoencoderCodec final : public Codec {
 public:
  /// `tensors`: type and device of what is taken and returned. @pre `network` was built from `config`
  AutoencoderCodec(std::shared_ptr<const Autoencoder> network, const AutoencoderConfig& config,
                   const at::TensorOptions& tensors, NetworkPrecision precision,
                   std::optional<DecoderGradient> gradient);

  /// As Codec has it. @pre z [B, c, h, w] and x [B, C, H, W] of the prior's type and device: InternalError
  /// for any other; DataError for an image whose sides are no multiples of the factor.
  at::Tensor decode(const at::Tensor& z) const override;
  Vjp decode_vjp(const at::Tensor& z) const override;
  LatentDistribution encode(const at::Tensor& x) const override;
  Vjp encode_vjp(const at::Tensor& x) const override;

 private:
  at::Tensor to_network(const at::Tensor& z) const;
  void check_images(const at::Tensor& x) const;

  std::shared_ptr<const Autoencoder> network_;
  AutoencoderConfig config_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
  std::optional<DecoderGradient> gradient_;
};

}  // namespace dwgf
