/// Stable Diffusion 1.x and 2.x as a prior, from a diffusers directory (unet/, vae/, scheduler/), offline.
/// Rombach et al., arXiv 2112.10752. A prompt is read by the directory's text_encoder/ and tokenizer/, where
/// it has them, or comes as its embedding.
#pragma once

#include <memory>
#include <string>

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

/// Whether it is a directory: what it lacks is said on loading.
bool is_stable_diffusion(const std::string& directory);

/// As PriorFamily has it.
std::unique_ptr<Prior> load_stable_diffusion(const std::string& directory, const PriorOptions& options);

}  // namespace dwgf
