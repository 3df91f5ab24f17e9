/// TIFF files of float32 for large pictures: in tiles, with smaller copies, so that a viewer reads what it
/// shows and no more.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace dwgf {

/// From so many pixels on a picture is large.
constexpr std::int64_t kLargePicture = std::int64_t{1} << 22;

/// Writes values [C, H, W] with C = 1 (grey) or 3 (RGB), aside and renamed: the picture, then reduced pages
/// (NewSubfileType 1), each of the means of 2 x 2 pixels of the one before, until a tile holds one. Tiles of
/// 256 x 256, deflate; BigTIFF where that may be over 4 GB. Memory: a third of the values, and a tile. Throws
/// IoError.
/// https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf,
/// https://libtiff.gitlab.io/libtiff/specification/bigtiff.html
/// @pre C is 1 or 3; the extents' product is values.size()
void write_pyramid_tiff(const std::string& path, std::int64_t channels, std::int64_t height,
                        std::int64_t width, std::span<const float> values);

}  // namespace dwgf
