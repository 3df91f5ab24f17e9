#include "prior/models/joint_transformer_config.hpp"

#include <algorithm>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/models/config_limits.hpp"

namespace dwgf {

bool JointTransformerConfig::is_dual(std::int64_t layer) const {
  return std::ranges::find(dual_layers, layer) != dual_layers.end();
}

JointTransformerConfig read_joint_transformer_config(const std::filesystem::path& path) {
  constexpr std::int64_t most_heads = 256, most_positions = 4096, largest_patch = 16;
  const ConfigFile file(path, {"SD3Transformer2DModel"});

  JointTransformerConfig config;
  config.latent_channels = file.integer("in_channels", 16, 1, kMostLatentChannels);
  const auto out = file.is_null("out_channels") ? config.latent_channels
                                                : file.integer("out_channels", 16, 1, kMostLatentChannels);
  if (out != config.latent_channels) {
    file.fail("out_channels", formatted("{} where in_channels is {}", out, config.latent_channels),
              "as many (control and inpainting models take further inputs)");
  }
  config.patch = file.integer("patch_size", 2, 1, largest_patch);
  config.layers = file.integer("num_layers", 18, 1, kMostLayers);
  config.heads = file.integer("num_attention_heads", 18, 1, most_heads);
  config.head_channels = file.integer("attention_head_dim", 64, 1, kMostChannels / most_heads * 16);
  if (config.channels() > kMostChannels) {
    file.fail("num_attention_heads", formatted("{} of {} channels each", config.heads, config.head_channels),
              formatted("up to {} channels together", kMostChannels));
  }
  if (const auto caption = file.integer("caption_projection_dim", 1152, 1, kMostChannels);
      caption != config.channels()) {
    file.fail("caption_projection_dim", formatted("{}", caption),
              formatted("num_attention_heads * attention_head_dim, {}", config.channels()));
  }
  config.context_channels = file.integer("joint_attention_dim", 4096, 1, kMostChannels);
  config.pooled_channels = file.integer("pooled_projection_dim", 2048, 1, kMostChannels);
  config.positions = file.integer("pos_embed_max_size", 96, 1, most_positions);
  config.sample_size = file.integer("sample_size", 128, 1, kMostChannels);
  config.dual_layers =
      file.list("dual_attention_layers", {}, static_cast<std::size_t>(kMostLayers), 0, config.layers - 1, 0);
  config.norm_of_queries_and_keys = file.text("qk_norm", "", {"rms_norm"}) == "rms_norm";
  return config;
}

}  // namespace dwgf
