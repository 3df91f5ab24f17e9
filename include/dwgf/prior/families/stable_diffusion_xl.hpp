/// Stable Diffusion XL as a prior, from a diffusers directory (unet/, vae/, scheduler/), offline. Podell et
/// al., arXiv 2307.01952. A prompt is read by two text encoders with a tokenizer each (text_encoder/,
/// tokenizer/, text_encoder_2/, tokenizer_2/): the U-Net attends to the penultimate states of both, and is
/// told the second one's projection, and the image's size before and after it was fitted onto the canvas,
/// without a crop.
#pragma once

#include <memory>
#include <string>

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

/// Whether it is a directory whose unet/config.json has the addition_embed_type text_time.
bool is_stable_diffusion_xl(const std::string& directory);

/// As PriorFamily has it. Where model_index.json does not say otherwise (force_zeros_for_empty_prompt), an
/// empty prompt is zeros, as it was in training, in place of what the encoders make of it. An autoencoder
/// whose configuration has force_upcast computes in float32 where half precision is asked for.
std::unique_ptr<Prior> load_stable_diffusion_xl(const std::string& directory, const PriorOptions& options);

}  // namespace dwgf
