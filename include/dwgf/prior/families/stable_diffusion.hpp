/// Stable Diffusion 1.x and 2.x as a prior, from a diffusers directory (unet/, vae/, scheduler/), offline.
/// Rombach et al., arXiv 2112.10752. A prompt is read by the directory's text_encoder/ and tokenizer/, where
/// it has them, or comes as its embedding.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// How a cotangent is pulled back through the decoder: src/prior/models/decoder_gradient.hpp.
enum class DecoderGradient { plain, recompute, tiled };

struct StableDiffusionOptions {
  /// Of the tensors taken and returned, float or double: latents, images, gradients.
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::Device(at::kCPU);
  /// The prompt's embedding [1, tokens, dim]; undefined: of `prompt`, or one token of zeros where the
  /// directory has no text_encoder/.
  at::Tensor context = {};
  /// UTF-8; the empty prompt is one too. Not empty: a text encoder is needed, and no `context`.
  std::string prompt = {};
  bool need_encoder = true;  ///< without it, encode() may not be called
  /// In which the networks compute and hold their weights; nothing: as `dtype`. Norms and attention form
  /// their sums in float32 also in half precision, and what is not finite there is redone in float32
  /// (redo_in_float.hpp).
  std::optional<at::ScalarType> unet_type = {}, autoencoder_type = {};
  bool unet_tf32 = false, autoencoder_tf32 = false;  ///< GPUs may multiply float32 as TF32
  /// Nothing: `recompute` where `plain` would take more than kPlainGradientBytes, else `plain`; the bits are
  /// the same.
  std::optional<DecoderGradient> decoder_gradient = {};
  bool need_unet = true;         ///< without it, predict_noise() may not be called
  bool need_autoencoder = true;  ///< without it, decode() and encode() may not be called
};

/// What `plain` may take for the decoder's gradient before `recompute` is chosen: an estimate is compared.
inline constexpr std::uint64_t kPlainGradientBytes = std::uint64_t{2} << 30;

/// Latents are on the U-Net's scale: D(z) = decoder(z / scaling_factor + shift_factor), and the encoder's
/// mean m and standard deviation s become (m - shift_factor) * scaling_factor and s * scaling_factor.
///
/// Throws NotFoundError naming the file that a directory lacks, DataError for contents that are wrong or not
/// supported, IoError where reading fails, InternalError where LibTorch fails (memory, device). No other
/// exception.
std::unique_ptr<Prior> load_stable_diffusion(const std::string& directory,
                                             const StableDiffusionOptions& options);

}  // namespace dwgf
