/// unet/config.json of the prior of photographs, as tools/train_photo_prior.py writes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace dwgf {

/// One resolution: as many blocks on the way down as on the way up.
struct PhotoUNetLevel {
  std::int64_t channels = 0;
  std::int64_t blocks = 1;
};

struct PhotoUNetConfig {
  std::int64_t image_channels = 3;
  std::vector<PhotoUNetLevel> levels;  ///< finest, of squares of 2 x 2 pixels, first
  std::int64_t noise_channels = 0;     ///< E, of the noise level's embedding
  std::int64_t frequencies = 0;        ///< of the waves that it is made of
  std::int64_t sample_size = 0;        ///< of the images it was trained on; 0: not said

  /// What height and width are multiples of.
  std::int64_t multiple() const { return std::int64_t{1} << levels.size(); }
};

/// Throws NotFoundError where there is no such file, DataError naming file, key, what was found and what is
/// allowed. Guaranteed of what comes back: positive sizes within bounds, two frequencies or more.
PhotoUNetConfig read_photo_unet_config(const std::filesystem::path& file);

}  // namespace dwgf
