/// PNG files, by libspng.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/data/picture.hpp>

namespace dwgf {

/// What a PNG says of its colours.
struct PngColours {
  bool srgb = false;
  std::vector<std::byte> profile = {};  ///< ICC; empty: none
  /// light = value^exponent; 0: it does not say
  double exponent = 0;
  /// CIE x, y of white, red, green and blue
  std::optional<std::array<double, 8>> chromaticities = {};
};

/// Samples as stored, interleaved [H, W, channels], widened to 16 bit storage. Palette and 1-, 2- and 4-bit
/// files are expanded to 8 bit; neither colours nor orientation are applied.
struct PngImage {
  std::int64_t height = 0;
  std::int64_t width = 0;
  int channels = 0;  ///< 1 grey, 2 grey + alpha, 3 colour, 4 colour + alpha
  int bits = 8;      ///< 8 or 16
  std::vector<std::uint16_t> samples;
  PngColours colours = {};  ///< of them `srgb` alone is written
};

/// Of the scene, from the headers of the chunks. Throws NotFoundError, DataError.
PictureSize read_png_size(const std::string& path);
PngImage read_png(const std::string& path);
/// As read_picture.
ImagePixels read_png_pixels(const std::string& path, const PictureChoices& choices);
/// The bytes of a PNG file. Throws IoError, InternalError (numbers that do not go together).
std::vector<std::byte> encode_png(const PngImage& image);
/// Throws IoError. Written aside and renamed.
void write_png(const std::string& path, const PngImage& image);

}  // namespace dwgf
