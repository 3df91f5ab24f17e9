/// What the networks take beside their weights, estimated from their shapes: bytes at the peak of one call on
/// the CPU, for B samples of latents [B, c, h, w]. Counted are the tensors that a call holds at once, and the
/// weights of a convolution while they are brought into their format.
/// Nothing was fitted; a test holds the sum to what is measured.
#pragma once

#include <cstddef>
#include <cstdint>

#include <dwgf/prior/families/known_families.hpp>

#include "prior/models/autoencoder_config.hpp"
#include "prior/models/joint_transformer_config.hpp"
#include "prior/models/photo_unet_config.hpp"
#include "prior/models/tiny_autoencoder_config.hpp"
#include "prior/models/unet_config.hpp"

namespace dwgf {

/// The size of a call.
struct CallSize {
  std::int64_t batch = 1;          ///< B
  std::int64_t latent_height = 0;  ///< h
  std::int64_t latent_width = 0;   ///< w
  std::size_t element = 4;         ///< bytes of a number
};

std::uint64_t unet_bytes(const UNetConfig& config, const CallSize& size);
/// With a prompt of so many tokens.
std::uint64_t joint_transformer_bytes(const JointTransformerConfig& config, const CallSize& size,
                                      std::int64_t prompt_tokens);
std::uint64_t photo_unet_bytes(const PhotoUNetConfig& config, const CallSize& size);
std::uint64_t encoder_bytes(const AutoencoderConfig& config, const CallSize& size);
std::uint64_t encoder_bytes(const TinyAutoencoderConfig& config, const CallSize& size);
std::uint64_t decoder_bytes(const AutoencoderConfig& config, const CallSize& size);
std::uint64_t decoder_bytes(const TinyAutoencoderConfig& config, const CallSize& size);

/// The decoder's gradient: `kept` between the forward pass and the backward pass, and the `peak` of either.
struct GradientBytes {
  std::uint64_t kept = 0;
  std::uint64_t peak = 0;
};
GradientBytes decoder_gradient_bytes(const AutoencoderConfig& config, DecoderGradient how,
                                     const CallSize& size);
GradientBytes decoder_gradient_bytes(const TinyAutoencoderConfig& config, DecoderGradient how,
                                     const CallSize& size);

}  // namespace dwgf
