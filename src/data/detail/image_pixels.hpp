/// From the numbers in a file to pixels on [-1, 1]. Private to `store`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <dwgf/data/png.hpp>

#include "data/images.hpp"

namespace dwgf {

/// The shape of an array of images: [n, C, H, W], or [C, H, W] of one.
struct ImageArray {
  std::int64_t images = 0, channels = 0, height = 0, width = 0;
  std::int64_t image_values() const { return channels * height * width; }
};

/// Throws DataError unless it is one of the two, with 1 or 3 channels and sizes that an image may have.
ImageArray image_array(const std::vector<std::int64_t>& shape, const std::string& name);
/// Entries named "NAME[row]" with the row as identity.
std::vector<ImageEntry> array_entries(const ImageArray& array, const std::string& name);

/// uint8 levels 0 ... 255 to [-1, 1].
void scale_levels(std::vector<float>& values);
/// Throws DataError naming the first value that is not finite or outside [-1, 1] by more than 1e-3, and where
/// it is.
void check_pixels(std::span<const float> values, const ImageArray& array, std::int64_t row,
                  const std::string& name);

/// Grey repeated, or colour as Rec. 601 luma. @pre `channels` is 1 or 3
ImagePixels with_channels(ImagePixels pixels, std::int64_t channels);
/// Throws DataError for an alpha channel that is not opaque.
ImagePixels pixels_of_png(const PngImage& image, const std::string& path);

}  // namespace dwgf
