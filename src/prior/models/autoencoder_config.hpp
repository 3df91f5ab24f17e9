/// vae/config.json of a diffusers directory. Missing keys take diffusers' defaults; what this program does
/// not support is refused, by name. Reference: diffusers 0.42.1, models/autoencoders/autoencoder_kl.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace dwgf {

struct AutoencoderConfig {
  std::int64_t image_channels = 3;
  std::int64_t latent_channels = 4;
  std::vector<std::int64_t> channels;  ///< a level, finest first
  std::int64_t layers = 1;             ///< residual blocks a level in the encoder; one more in the decoder
  std::int64_t norm_groups = 32;
  double scaling_factor = 0.18215;
  double shift_factor = 0.0;
  bool quant_conv = true;
  bool post_quant_conv = true;
  bool middle_attention = true;
  bool force_upcast = true;  ///< SDXL's pipelines compute it in float32 where they work in half precision

  /// H / h
  std::int64_t factor() const { return std::int64_t{1} << (channels.size() - 1); }
};

/// Throws NotFoundError where there is no such file, DataError naming file, key, what was found and what is
/// allowed. Guaranteed of what comes back: positive sizes within bounds, groups that divide the channels.
AutoencoderConfig read_autoencoder_config(const std::filesystem::path& file);

}  // namespace dwgf
