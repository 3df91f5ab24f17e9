#include "prior/models/photo_unet_config.hpp"

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/models/config_limits.hpp"

namespace dwgf {

PhotoUNetConfig read_photo_unet_config(const std::filesystem::path& path) {
  const ConfigFile file(path, {"PhotoUNet"});
  file.text("prediction_type", "v_prediction", {"v_prediction"});
  PhotoUNetConfig config;
  config.image_channels = file.integer("in_channels", 3, 1, kMostLatentChannels);
  const auto channels = file.list("block_out_channels", {48, 96, 192, 256}, kMostLevels, 1, kMostChannels);
  const auto blocks = file.list("layers_per_block", {1, 1, 1, 2}, kMostLevels, 0, kMostLayers);
  if (blocks.size() != channels.size()) {
    file.fail("layers_per_block", formatted("a list of {}", blocks.size()),
              formatted("as many as block_out_channels has, {}", channels.size()));
  }
  for (std::size_t i = 0; i < channels.size(); ++i) config.levels.push_back({channels[i], blocks[i]});
  config.noise_channels = file.integer("time_embedding_dim", 128, 1, kMostChannels);
  config.frequencies = file.integer("noise_frequencies", 16, 2, kMostChannels);
  config.sample_size = file.integer("sample_size", 0, 0, kMostChannels);
  return config;
}

}  // namespace dwgf
