/// How a camera was held: EXIF's orientation 1 to 8, where row 0 and column 0 of what is stored lie in the
/// scene. https://www.cipa.jp/std/documents/e/DC-008-Translation-2019-E.pdf (4.6.4 A, Orientation)
///
/// | | row 0 | column 0 | | row 0 | column 0 |
/// |---|---|---|---|---|---|
/// | 1 | top | left | 5 | left | top |
/// | 2 | top | right | 6 | right | top |
/// | 3 | bottom | right | 7 | right | bottom |
/// | 4 | bottom | left | 8 | left | bottom |
#pragma once

#include <cstddef>
#include <span>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// The orientation that a block of EXIF (a TIFF header and its tags, either byte order) tells; 1 where it
/// tells none, or is damaged: pictures are shown all the same.
int exif_orientation(std::span<const std::byte> block);

/// The size of the scene.
PictureSize upright(const PictureSize& stored, int orientation);
/// The scene. @pre 1 <= orientation <= 8
ImagePixels upright(ImagePixels stored, int orientation);

}  // namespace dwgf
