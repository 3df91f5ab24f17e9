/// What every source of pixels does with them.
#pragma once

#include <cstdint>
#include <string>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// Throws InternalError unless `k` is one of `rows` rows.
void require_row(std::int64_t k, std::size_t rows, const std::string& name);

/// Throws DataError naming the first value that is not finite or outside [-1, 1] by more than 1e-3, and where
/// it is.
void check_pixels(const ImagePixels& pixels, std::int64_t row, const std::string& name);

/// Grey repeated, or colour as Rec. 601 luma. Throws InternalError unless `channels` is 1 or 3.
ImagePixels with_channels(ImagePixels pixels, std::int64_t channels);

}  // namespace dwgf
