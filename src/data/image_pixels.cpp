#include "data/detail/image_pixels.hpp"

#include <cmath>

#include <dwgf/base/error.hpp>

namespace dwgf {

void require_row(std::int64_t k, std::size_t rows, const std::string& name) {
  if (k >= 0 && k < static_cast<std::int64_t>(rows)) return;
  throw InternalError("image {} of {}, which has {}", k, name, rows);
}

void check_pixels(const ImagePixels& pixels, std::int64_t row, const std::string& name) {
  for (std::size_t k = 0; k < pixels.values.size(); ++k) {
    const float value = pixels.values[k];
    if (std::abs(value) <= 1.0f + 1e-3f) continue;  // false for NaN
    const auto at = static_cast<std::int64_t>(k);
    throw DataError(
        "{}, row {}, has the value {} in channel {} at pixel ({}, {}) (row, column); pixels are finite and "
        "on [-1, 1]: {}",
        name, row, value, at / (pixels.height * pixels.width), at / pixels.width % pixels.height,
        at % pixels.width,
        std::isfinite(value) ? "scale 0 ... 1 by 2 x - 1, 0 ... 255 by x / 127.5 - 1, or store uint8"
                             : "repair or leave out this image");
  }
}

ImagePixels with_channels(ImagePixels pixels, std::int64_t channels) {
  if (channels != 1 && channels != 3) throw InternalError("images of {} channels were asked for", channels);
  if (pixels.channels == channels) return pixels;
  const auto plane = static_cast<std::size_t>(pixels.height * pixels.width);
  std::vector<float> values(plane * static_cast<std::size_t>(channels));
  for (std::size_t k = 0; k < plane; ++k) {
    if (channels == 1) {
      const float* v = pixels.values.data() + k;
      values[k] = static_cast<float>(0.299 * v[0] + 0.587 * v[plane] + 0.114 * v[2 * plane]);
    } else {
      values[k] = values[plane + k] = values[2 * plane + k] = pixels.values[k];
    }
  }
  return {channels, pixels.height, pixels.width, std::move(values)};
}

}  // namespace dwgf
