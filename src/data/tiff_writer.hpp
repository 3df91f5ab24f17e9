/// TIFF files of float32, one picture each, as image programs for measurements read them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace dwgf {

/// Writes values [C, H, W] with C = 1 (grey) or 3 (RGB), uncompressed, aside and renamed. Throws IoError.
/// https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
/// @pre C is 1 or 3; the extents' product is values.size(), at most 2^29
void write_tiff(const std::string& path, std::int64_t channels, std::int64_t height, std::int64_t width,
                std::span<const float> values);

}  // namespace dwgf
