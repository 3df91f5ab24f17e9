/// Published models by the shapes that their configurations give, so that a directory can be called by its
/// name and a person told what there is to fetch. Shapes and parameters: the models' config.json files, as
/// listed in https://github.com/huggingface/diffusers (0.42.1, docs and scripts/) and on the models' own
/// pages; where several models share their shapes, all are named.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace dwgf {

/// What of a denoiser's config.json tells the published models apart.
struct DenoiserShape {
  std::string kind;              ///< its class, "UNet2DConditionModel"
  std::int64_t context = 0;      ///< cross_attention_dim, or joint_attention_dim
  std::int64_t width = 0;        ///< of the first level (block_out_channels), or heads (num_attention_heads)
  std::int64_t depth = 0;        ///< levels, or layers
  std::int64_t sample_size = 0;  ///< of the latents it was trained on; 0: not told apart by it
  bool embeds_guidance = false;  ///< time_cond_proj_dim: distilled with its guidance
  bool has_dual_attention = false;  ///< dual_attention_layers

  bool operator==(const DenoiserShape&) const = default;
};

struct KnownModel {
  const char* name;
  const char* family;   ///< of known_families()
  const char* source;   ///< its repository on the Hugging Face hub
  double parameters;    ///< of all its networks [10^9]
  std::int64_t pixels;  ///< the side of the images it was trained on
  const char* steps;    ///< how many calls of the denoiser a sample is meant to take
  DenoiserShape shape;
};

/// The priors that people have and this program loads, most asked for first.
std::span<const KnownModel> known_models();

/// Of unet/config.json or transformer/config.json of a directory; an empty shape where there is neither.
/// Throws DataError where the file is no JSON object.
DenoiserShape denoiser_shape(const std::filesystem::path& directory);

/// The known models of this shape; a sample_size of 0 in the table agrees with any.
std::vector<const KnownModel*> models_of(const DenoiserShape& shape);

}  // namespace dwgf
