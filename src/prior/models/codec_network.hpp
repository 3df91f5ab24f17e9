/// What a codec asks of an autoencoder's network. Latents here are on the network's own scale.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/vjp.hpp>

namespace dwgf {

/// A block of a decoder, its result fresh memory; without autograd: products are the blocks' own.
struct DecoderStage {
  std::function<at::Tensor(const at::Tensor&)> forward;
  std::function<Vjp(const at::Tensor&)> vjp;
};

/// Mean and log-variance of an encoder's posterior, [B, c, h, w] each; the latter is undefined where the
/// encoder gives a point.
struct EncodedMoments {
  at::Tensor mean, log_variance;
};

class CodecNetwork {
 public:
  virtual ~CodecNetwork() = default;
  /// z [B, c, h, w] -> image [B, C, H, W].
  virtual at::Tensor decode(const at::Tensor& z) const = 0;
  /// The same as a chain, z -> stages[0] -> ... -> image.
  virtual const std::vector<DecoderStage>& decoder_stages() const = 0;
  /// Of x [B, C, H, W]. @pre H and W are multiples of the factor.
  virtual EncodedMoments encode(const at::Tensor& x) const = 0;
};

/// The sizes of an autoencoder, and how its latents relate to the denoiser's.
struct CodecScale {
  std::int64_t image_channels = 0;   ///< C
  std::int64_t latent_channels = 0;  ///< c
  std::int64_t factor = 1;           ///< H / h
  double scaling_factor = 1.0;
  double shift_factor = 0.0;
};

}  // namespace dwgf
