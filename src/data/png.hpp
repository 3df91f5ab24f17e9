/// PNG files, by libspng.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// Samples as stored, interleaved [H, W, channels], widened to 16 bit storage. Palette and 1-, 2- and 4-bit
/// files are expanded to 8 bit; gamma and colour profiles are not applied.
struct PngImage {
  std::int64_t height = 0;
  std::int64_t width = 0;
  int channels = 0;  ///< 1 grey, 2 grey + alpha, 3 colour, 4 colour + alpha
  int bits = 8;      ///< 8 or 16
  std::vector<std::uint16_t> samples;
};

/// Reads only the header. Throws NotFoundError, DataError.
PictureSize read_png_size(const std::string& path);
PngImage read_png(const std::string& path);
/// As read_picture: an alpha channel is refused unless it is opaque throughout.
ImagePixels read_png_pixels(const std::string& path);
/// The bytes of a PNG file. Throws IoError, InternalError (numbers that do not go together).
std::vector<std::byte> encode_png(const PngImage& image);
/// Throws IoError. Written aside and renamed.
void write_png(const std::string& path, const PngImage& image);

}  // namespace dwgf
