#include "prior/models/autoencoder_config.hpp"

#include <string>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/models/config_limits.hpp"

namespace dwgf {

AutoencoderConfig read_autoencoder_config(const std::filesystem::path& path) {
  const ConfigFile file(path, {"AutoencoderKL"});
  file.text("act_fn", "silu", {"silu", "swish"});
  for (const char* key : {"latents_mean", "latents_std"}) file.require(key, nullptr);

  AutoencoderConfig config;
  config.image_channels = file.integer("in_channels", 3, 1, kMostLatentChannels);
  if (const auto out = file.integer("out_channels", 3, 1, kMostLatentChannels);
      out != config.image_channels) {
    file.fail("in_channels", formatted("{} where out_channels is {}", config.image_channels, out),
              "equal ones");
  }
  config.latent_channels = file.integer("latent_channels", 4, 1, kMostLatentChannels);
  config.channels = file.list("block_out_channels", {64}, kMostLevels, 1, kMostChannels);
  const std::size_t levels = config.channels.size();
  file.texts("down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D"), levels,
             {"DownEncoderBlock2D"});
  file.texts("up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D"), levels,
             {"UpDecoderBlock2D"});
  config.layers = file.integer("layers_per_block", 1, 1, kMostLayers);
  config.norm_groups = file.integer("norm_num_groups", 32, 1, kMostChannels);
  for (const auto channels : config.channels)
    file.check_divides("norm_num_groups", config.norm_groups, channels);
  config.scaling_factor = file.real("scaling_factor", 0.18215, 1e-6, 1e6);
  config.shift_factor = file.real("shift_factor", 0.0, -1e6, 1e6);
  config.quant_conv = file.boolean("use_quant_conv", true);
  config.post_quant_conv = file.boolean("use_post_quant_conv", true);
  config.middle_attention = file.boolean("mid_block_add_attention", true);
  config.force_upcast = file.boolean("force_upcast", true);
  return config;
}

}  // namespace dwgf
