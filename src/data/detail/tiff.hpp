/// TIFF and BigTIFF files, by libtiff. Private to `data`.
#pragma once

#include <dwgf/data/picture.hpp>

namespace dwgf {

/// As read_picture_size and read_picture. Strips and tiles, contiguous and separate planes, any compression
/// that libtiff has; pages that show the first one smaller (a pyramid) are passed over. Memory: the picture
/// as it is returned, [C, H, W] of float32 (and its opacity), and one strip or tile as it is stored.
PictureSize read_tiff_size(const std::string& path);
ImagePixels read_tiff(const std::string& path, const PictureChoices& choices);

}  // namespace dwgf
