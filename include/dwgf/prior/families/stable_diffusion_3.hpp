/// Stable Diffusion 3 and 3.5 as a prior, from a diffusers directory (transformer/, vae/, scheduler/),
/// offline. Esser et al., arXiv 2403.03206.
///
/// A prompt is read by text_encoder/ and text_encoder_2/ with their tokenizers: their penultimate states next
/// to each other, filled up with zeros to the transformer's width, [1, 77, 4096], and their projections as
/// the prompt as a whole, [1, 2048]. The third encoder of the published models, T5, is not run: what it would
/// add is zeros, [1, 256, 4096], as in diffusers' pipeline without it and in a part of the models' training.
/// https://github.com/huggingface/diffusers (0.42.1, pipelines/stable_diffusion_3)
#pragma once

#include <memory>
#include <string>

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

/// Whether its transformer/ is of that class.
bool is_stable_diffusion_3(const std::string& directory);

/// As PriorFamily has it. A prompt's embedding, [1, tokens, dim] with T5's share or without, comes without
/// one of the prompt as a whole: zeros.
std::unique_ptr<Prior> load_stable_diffusion_3(const std::string& directory, const PriorOptions& options);

}  // namespace dwgf
