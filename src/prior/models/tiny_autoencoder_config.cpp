#include "prior/models/tiny_autoencoder_config.hpp"

#include <algorithm>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/models/config_limits.hpp"

namespace dwgf {
namespace {

/// All equal, or refused: diffusers' network has no convolution that changes their number.
std::int64_t channels_of(const ConfigFile& file, const char* key, std::size_t resolutions) {
  const auto channels =
      file.list(key, std::vector<std::int64_t>(resolutions, 64), kMostLevels, 1, kMostChannels);
  if (channels.size() != resolutions)
    file.fail(key, formatted("a list of {}", channels.size()),
              formatted("one for each of the {} resolutions", resolutions));
  if (std::ranges::any_of(channels, [&](std::int64_t value) { return value != channels.front(); }))
    file.fail(key, "different from resolution to resolution", "one value");
  return channels.front();
}

}  // namespace

TinyAutoencoderConfig read_tiny_autoencoder_config(const std::filesystem::path& path) {
  const ConfigFile file(path, {"AutoencoderTiny"});
  file.text("act_fn", "relu", {"relu"});
  file.text("upsample_fn", "nearest", {"nearest"});
  file.require("upsampling_scaling_factor", 2);

  TinyAutoencoderConfig config;
  config.image_channels = file.integer("in_channels", 3, 1, kMostLatentChannels);
  if (const auto out = file.integer("out_channels", 3, 1, kMostLatentChannels);
      out != config.image_channels) {
    file.fail("in_channels", formatted("{} where out_channels is {}", config.image_channels, out),
              "equal ones");
  }
  config.latent_channels = file.integer("latent_channels", 4, 1, kMostLatentChannels);
  config.encoder_blocks = file.list("num_encoder_blocks", {1, 3, 3, 3}, kMostLevels, 0, kMostLayers);
  config.decoder_blocks = file.list("num_decoder_blocks", {3, 3, 3, 1}, kMostLevels, 0, kMostLayers);
  const std::size_t resolutions = config.decoder_blocks.size();
  if (config.encoder_blocks.size() != resolutions) {
    file.fail("num_encoder_blocks", formatted("a list of {}", config.encoder_blocks.size()),
              formatted("as many as num_decoder_blocks has, {}", resolutions));
  }
  config.channels = channels_of(file, "decoder_block_out_channels", resolutions);
  if (const auto others = channels_of(file, "encoder_block_out_channels", resolutions);
      others != config.channels) {
    file.fail("encoder_block_out_channels", formatted("{}", others),
              formatted("the decoder's, {}", config.channels));
  }
  config.scaling_factor = file.real("scaling_factor", 1.0, 1e-6, 1e6);
  config.shift_factor = file.real("shift_factor", 0.0, -1e6, 1e6);
  return config;
}

}  // namespace dwgf
