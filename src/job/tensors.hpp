/// Images and stored arrays as tensors, and how images of different sizes share a dataset.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/base/error.hpp>

#include "data/images.hpp"
#include "store/measurements.hpp"

namespace dwgf {

/// A float32 image as a tensor [C, H, W].
at::Tensor as_tensor(const ImagePixels& pixels);

/// As a tensor, float32. Last rows and columns that are NaN throughout are left out: they fill the space
/// beside an image that is smaller than the largest.
at::Tensor as_tensor(const FloatArray& array);

/// The tensor [...] in the first corner of an array of `shape`, NaN elsewhere: how images of different sizes
/// share a dataset.
at::Tensor embedded(const at::Tensor& values, const std::vector<std::int64_t>& shape);

/// The first corner of an array, of this shape: what `embedded` was given.
at::Tensor cut(const at::Tensor& array, at::IntArrayRef shape);

/// Makes `shape` the smallest that holds both itself and `other`.
void grow(std::vector<std::int64_t>& shape, at::IntArrayRef other);

/// Calls `visit` with the row of one image of every size.
/// @param others_may_do  where `visit` throws an Error, whether the next image of that size is tried
/// @return the first such error
std::optional<Error> visit_sizes(const std::vector<ImageEntry>& images, bool others_may_do,
                                 const std::function<void(std::int64_t row)>& visit);

}  // namespace dwgf
