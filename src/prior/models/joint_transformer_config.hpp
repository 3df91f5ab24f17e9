/// transformer/config.json of a diffusers directory of Stable Diffusion 3. Missing keys take diffusers'
/// defaults; what this program does not support is refused, by name. Reference: diffusers 0.42.1,
/// models/transformers/transformer_sd3.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace dwgf {

struct JointTransformerConfig {
  std::int64_t latent_channels = 16;  ///< in and out
  std::int64_t patch = 2;             ///< a token is patch x patch positions of the latent
  std::int64_t layers = 18;
  std::int64_t heads = 18;
  std::int64_t head_channels = 64;
  std::int64_t context_channels = 4096;   ///< joint_attention_dim: of the prompt's embedding, a token
  std::int64_t pooled_channels = 2048;    ///< of the prompt's embedding as a whole
  std::int64_t positions = 96;            ///< of tokens in each direction, of which the middle ones are used
  std::vector<std::int64_t> dual_layers;  ///< those with a second attention, among image tokens alone
  bool norm_of_queries_and_keys = false;  ///< qk_norm: "rms_norm"
  std::int64_t sample_size = 128;         ///< of the latents it was trained on; any is computed

  std::int64_t channels() const { return heads * head_channels; }
  bool is_dual(std::int64_t layer) const;
};

/// Throws NotFoundError where there is no such file, DataError naming file, key, what was found and what is
/// allowed. Guaranteed of what comes back: positive sizes within bounds.
JointTransformerConfig read_joint_transformer_config(const std::filesystem::path& file);

}  // namespace dwgf
