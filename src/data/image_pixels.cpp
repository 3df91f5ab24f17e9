#include "data/detail/image_pixels.hpp"

#include <cmath>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t longest_side = 1 << 16;
constexpr std::int64_t most_values = std::int64_t{1} << 28;  // of one image
constexpr std::int64_t most_images = std::int64_t{1} << 24;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += concat(text.empty() ? "[" : ", ", extent);
  return text.empty() ? "[]" : text + "]";
}

}  // namespace

ImageArray image_array(const std::vector<std::int64_t>& shape, const std::string& name) {
  if (shape.size() != 3 && shape.size() != 4) {
    throw DataError(concat(name, " has the shape ", shape_text(shape),
                           "; images are [n, C, H, W] or [C, H, W]: reshape it"));
  }
  const std::size_t d = shape.size() - 3;
  const ImageArray array{d == 1 ? shape[0] : 1, shape[d], shape[d + 1], shape[d + 2]};
  if (array.channels != 1 && array.channels != 3) {
    throw DataError(concat(
        name, " has the shape ", shape_text(shape), " with ", array.channels,
        " channels; images are [n, C, H, W] or [C, H, W] with C = 1 or 3: move the channels to the front "
        "(numpy.moveaxis(array, -1, -3)) if they are last"));
  }
  if (array.images < 1 || array.height < 1 || array.width < 1) {
    throw DataError(concat(name, " has the shape ", shape_text(shape), ", which holds no image"));
  }
  if (array.images > most_images || array.height > longest_side || array.width > longest_side ||
      array.image_values() > most_values) {
    throw DataError(concat(name, " has the shape ", shape_text(shape), "; at most ", most_images,
                           " images of ", most_values, " values and sides of ", longest_side,
                           " are taken: split it"));
  }
  return array;
}

std::vector<ImageEntry> array_entries(const ImageArray& array, const std::string& name) {
  std::vector<ImageEntry> entries;
  entries.reserve(static_cast<std::size_t>(array.images));
  for (std::int64_t row = 0; row < array.images; ++row) {
    entries.push_back({static_cast<std::uint64_t>(row), concat(name, "[", row, "]"),
                       static_cast<std::uint32_t>(array.height), static_cast<std::uint32_t>(array.width)});
  }
  return entries;
}

void scale_levels(std::vector<float>& values) {
  for (float& value : values) value = static_cast<float>(value / 127.5 - 1.0);
}

void check_pixels(std::span<const float> values, const ImageArray& array, std::int64_t row,
                  const std::string& name) {
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::abs(values[k]) <= 1.0f + 1e-3f) continue;  // false for NaN
    const auto at = static_cast<std::int64_t>(k);
    throw DataError(concat(name, ", row ", row, ", has the value ", values[k], " in channel ",
                           at / (array.height * array.width), " at pixel (", at / array.width % array.height,
                           ", ", at % array.width, ") (row, column); pixels are finite and on [-1, 1]: ",
                           std::isfinite(values[k])
                               ? "scale 0 ... 1 by 2 x - 1, 0 ... 255 by x / 127.5 - 1, or store uint8"
                               : "repair or leave out this image"));
  }
}

ImagePixels with_channels(ImagePixels pixels, std::int64_t channels) {
  if (channels != 1 && channels != 3)
    throw InternalError(concat("images of ", channels, " channels were asked for"));
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

ImagePixels pixels_of_png(const PngImage& image, const std::string& path) {
  const std::uint16_t largest = image.bits == 16 ? 65535 : 255;
  const bool alpha = image.channels % 2 == 0;
  const std::int64_t colours = image.channels - alpha;
  ImagePixels pixels{colours, image.height, image.width, {}};
  const std::int64_t plane = image.height * image.width;
  pixels.values.resize(static_cast<std::size_t>(colours * plane));
  for (std::int64_t k = 0; k < plane; ++k) {
    const std::uint16_t* sample = image.samples.data() + k * image.channels;
    if (alpha && sample[colours] != largest) {
      throw DataError(concat(path, " is transparent at pixel (", k / image.width, ", ", k % image.width,
                             ") (row, column): alpha ", sample[colours], " of ", largest,
                             "; save it without an alpha channel, on the background you want"));
    }
    for (std::int64_t c = 0; c < colours; ++c) {
      pixels.values[static_cast<std::size_t>(c * plane + k)] =
          static_cast<float>(sample[c] / (largest / 2.0) - 1.0);
    }
  }
  return pixels;
}

}  // namespace dwgf
