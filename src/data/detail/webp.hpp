/// WebP files, by libwebp. Private to `data`.
#pragma once

#include <dwgf/data/picture.hpp>

namespace dwgf {

/// As read_picture_size and read_picture. https://developers.google.com/speed/webp/docs/riff_container
PictureSize read_webp_size(const std::string& path);
ImagePixels read_webp(const std::string& path, const PictureChoices& choices);

}  // namespace dwgf
