/// One picture in a file of its own, upright, in sRGB, as pixels on [-1, 1]: PNG, JPEG, TIFF and WebP, told
/// by the name's ending (.png; .jpg, .jpeg, .jpe, .jfif; .tif, .tiff; .webp; in any case).
///
/// | format | what is taken | value |
/// |---|---|---|
/// | PNG | 1 to 8 bit and palettes; 16 bit | v / 127.5 - 1; v / 32767.5 - 1 |
/// | JPEG, WebP | 8 bit, grey, colour or (JPEG) CMYK with a profile | v / 127.5 - 1 |
/// | TIFF | unsigned 8 bit and palettes; unsigned 16 bit; float 32 or 64 bit | as PNG; on [-1, 1] as it stands |
///
/// EXIF's orientation (PNG's eXIf, TIFF's tag) is applied, to the size too. Colours of an ICC profile, and
/// of PNG's gAMA and cHRM where there is none, become sRGB (relative colorimetric with black point
/// compensation, clipped to what sRGB shows); of what is sRGB already no bit changes (colour.hpp). Of several
/// pictures (APNG, MPO, WebP) the first is read, and noted.
///
/// Refused, always with the file and what to do: transparency without a background, CMYK without a profile,
/// several pages in TIFF, values that are not finite or outside [-1, 1] by more than 1e-3, and damage.
#pragma once

#include <array>
#include <optional>
#include <string>

#include <dwgf/base/value_range.hpp>
#include <dwgf/data/image.hpp>

namespace dwgf {

/// What a file leaves open.
struct PictureChoices {
  /// What transparent pixels are laid on, sRGB on [-1, 1]; nothing: they are refused.
  std::optional<std::array<double, 3>> background;
  /// Of floating-point values, and of 16-bit ones where `high` is above 255 (12 of 16 bits: 0, 4095);
  /// nothing: as the table above says.
  std::optional<ValueRange> range;
};

/// Whether the name ends as a picture's does.
bool is_picture_name(const std::string& path);

/// From the headers only. Throws NotFoundError, DataError, IoError.
PictureSize read_picture_size(const std::string& path);

/// With the channels that the file has, 1 or 3. Throws NotFoundError, DataError, IoError.
ImagePixels read_picture(const std::string& path, const PictureChoices& choices = {});

}  // namespace dwgf
