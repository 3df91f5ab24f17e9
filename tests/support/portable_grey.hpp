/// A toy picture format: how a format of one's own is added, by one source and one row.
#pragma once

#include "data/formats.hpp"

namespace dwgf::test {

/// The row of portable grey maps: "P5", width, height and 255 in a header of text, then a byte a pixel.
PictureFormat portable_grey();

}  // namespace dwgf::test
