/// config.json of an AutoencoderTiny of a diffusers directory. Missing keys take diffusers' defaults; what
/// this program does not support is refused, by name. Reference: diffusers 0.42.1,
/// models/autoencoders/autoencoder_tiny.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace dwgf {

struct TinyAutoencoderConfig {
  std::int64_t image_channels = 3;
  std::int64_t latent_channels = 4;
  std::int64_t channels = 64;                ///< at every resolution
  std::vector<std::int64_t> encoder_blocks;  ///< a resolution, finest first
  std::vector<std::int64_t> decoder_blocks;  ///< a resolution, coarsest first; as many
  double scaling_factor = 1.0;
  double shift_factor = 0.0;

  /// H / h
  std::int64_t factor() const { return std::int64_t{1} << (decoder_blocks.size() - 1); }
};

/// Throws NotFoundError where there is no such file, DataError naming file, key, what was found and what is
/// allowed. Guaranteed of what comes back: positive sizes within bounds, as many resolutions on both sides.
TinyAutoencoderConfig read_tiny_autoencoder_config(const std::filesystem::path& file);

}  // namespace dwgf
