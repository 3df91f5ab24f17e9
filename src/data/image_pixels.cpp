#include "data/detail/image_pixels.hpp"

#include <algorithm>
#include <cmath>

#include <dwgf/base/error.hpp>

namespace dwgf {

void require_row(std::int64_t k, std::size_t rows, const std::string& name) {
  if (k >= 0 && k < static_cast<std::int64_t>(rows)) return;
  throw InternalError("image {} of {}, which has {}", k, name, rows);
}

SampleScale::SampleScale(int bits, const std::optional<ValueRange>& range)
    : largest_(bits == 16 ? 65535.0f : 255.0f) {
  if (bits == 16 && range && range->high > 255) range_ = range;
}

float SampleScale::operator()(std::uint16_t sample) const {
  if (range_) return on_range(sample, range_);
  return static_cast<float>(sample / (static_cast<double>(largest_) / 2.0) - 1.0);
}

void note_few_bits(ImagePixels& pixels, const std::string& path) {
  if (pixels.values.empty()) return;
  const double value = *std::max_element(pixels.values.begin(), pixels.values.end());
  const double level = std::round((value + 1) * 32767.5);
  if (level > 4095 || level <= 255) return;
  pixels.notes.push_back(
      formatted("{}: the largest of its 16-bit values is {}, as of {} bits, so that it is nearly black; "
                "input.range = 0,{} "
                "makes that white",
                path, level, level > 1023 ? 12 : 10, level > 1023 ? 4095 : 1023));
}

ImagePixels laid_on(ImagePixels pixels, std::span<const float> opacity,
                    const std::optional<std::array<double, 3>>& background, const std::string& path,
                    bool premultiplied) {
  const auto clear = std::find_if(opacity.begin(), opacity.end(), [](float alpha) { return alpha != 1; });
  if (clear == opacity.end()) return pixels;
  const auto plane = static_cast<std::size_t>(pixels.height * pixels.width);
  if (!background) {
    const std::int64_t at = clear - opacity.begin();
    throw DataError(
        "{} has a transparent pixel, ({}, {}) (row, column), of opacity {}; say what lies behind it with "
        "input.background = white, black or #rrggbb, or save it without an alpha channel",
        path, at / pixels.width, at % pixels.width, *clear);
  }
  const bool neutral = (*background)[0] == (*background)[1] && (*background)[1] == (*background)[2];
  if (!neutral) pixels = with_channels(std::move(pixels), 3);
  for (std::size_t k = 0; k < pixels.values.size(); ++k) {
    const double alpha = opacity[k % plane], behind = (*background)[k / plane];
    const double light =
        (pixels.values[k] + 1.0) * (premultiplied ? 1.0 : alpha) + (behind + 1) * (1 - alpha);
    pixels.values[k] = static_cast<float>(std::min(light - 1, 1.0));
  }
  return pixels;
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
        std::isfinite(value) ? "input.range = 0,1 or 0,255 scales what is on another range"
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
  pixels.channels = channels;
  pixels.values = std::move(values);
  return pixels;
}

}  // namespace dwgf
