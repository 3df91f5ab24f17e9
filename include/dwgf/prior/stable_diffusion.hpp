/// Stable Diffusion 1.x and 2.x as a prior, from a diffusers directory (unet/, vae/, scheduler/), offline.
/// Rombach et al., arXiv 2112.10752. A prompt is read by the directory's text_encoder/ and tokenizer/, where
/// it has them, or comes as its embedding.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

struct StableDiffusionOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::Device(at::kCPU);
  /// The prompt's embedding [1, tokens, dim]; undefined: of `prompt`, or one token of zeros where the
  /// directory has no text_encoder/.
  at::Tensor context = {};
  /// UTF-8; the empty prompt is one too. Not empty: a text encoder is needed, and no `context`.
  std::string prompt = {};
  bool need_encoder = true;  ///< without it, encode() may not be called
};

/// Latents are on the U-Net's scale: D(z) = decoder(z / scaling_factor + shift_factor), and the encoder's
/// mean m and standard deviation s become (m - shift_factor) * scaling_factor and s * scaling_factor.
///
/// Throws NotFoundError naming the file that a directory lacks, DataError for contents that are wrong or not
/// supported, IoError where reading fails, InternalError where LibTorch fails (memory, device). No other
/// exception.
std::unique_ptr<Prior> load_stable_diffusion(const std::string& directory,
                                             const StableDiffusionOptions& options);

}  // namespace dwgf
