/// Where a large image is worst, as squares that are shown pixel by pixel.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// A square of an image, in pixels.
struct Place {
  std::int64_t top = 0, left = 0, side = 0;
  double badness = 0.0;  ///< its mean
};

/// At most `most` squares that do not overlap, those of the largest mean of `badness` [H, W] first; where
/// they may lie is a grid of half their side. NaN counts as 0. @pre side <= H, side <= W
std::vector<Place> worst_places(const at::Tensor& badness, std::int64_t side, std::size_t most);

/// That part of an image [C, H, W].
at::Tensor part_at(const at::Tensor& image, const Place& place);

}  // namespace dwgf
