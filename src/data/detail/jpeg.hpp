/// JPEG files, by TurboJPEG. Private to `store`.
#pragma once

#include <dwgf/data/picture.hpp>

namespace dwgf {

/// As read_picture_size and read_picture. A file that TurboJPEG only warns about (truncated, corrupt data) is
/// refused: what it fills in is no measurement.
PictureSize read_jpeg_size(const std::string& path);
ImagePixels read_jpeg(const std::string& path, const PictureChoices& choices);

}  // namespace dwgf
