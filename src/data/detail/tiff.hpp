/// TIFF files, by libtiff. Private to `store`.
#pragma once

#include <dwgf/data/picture.hpp>

namespace dwgf {

/// As read_picture_size and read_picture. Strips and tiles, contiguous and separate planes, any compression
/// that libtiff has.
PictureSize read_tiff_size(const std::string& path);
ImagePixels read_tiff(const std::string& path, const PictureChoices& choices);

}  // namespace dwgf
