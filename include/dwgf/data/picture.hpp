/// One picture in a file of its own, as pixels on [-1, 1]: PNG, JPEG and TIFF, told apart by the name's
/// ending (.png, .jpg, .jpeg, .tif, .tiff, in any case).
///
/// | format | what is taken | value |
/// |---|---|---|
/// | PNG | 1 to 8 bit and palettes; 16 bit | v / 127.5 - 1; v / 32767.5 - 1 |
/// | JPEG | 8 bit, grey or colour | v / 127.5 - 1 |
/// | TIFF | unsigned 8 bit; unsigned 16 bit; float 32 or 64 bit | as PNG; on [-1, 1] as it stands |
///
/// Colour profiles, gamma and EXIF orientation are not applied. Refused, always with the file and what to do:
/// transparency that is not opaque, CMYK, palettes and several pages in TIFF, values that are not finite or
/// outside [-1, 1] by more than 1e-3, and damage.
#pragma once

#include <string>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// Whether the name ends as a picture's does.
bool is_picture_name(const std::string& path);

/// From the header only. Throws NotFoundError, DataError, IoError.
PictureSize read_picture_size(const std::string& path);

/// With the channels that the file has, 1 or 3. Throws NotFoundError, DataError, IoError.
ImagePixels read_picture(const std::string& path);

}  // namespace dwgf
