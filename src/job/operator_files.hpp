/// The arrays that an operator spec names, from where they are to tensors.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "store/measurements.hpp"

namespace dwgf {

/// The file of an operator's array: a .npy, or for a mask a grey PNG. uint8 is taken as it is, but by a
/// matrix as v / 127.5 - 1. Throws NotFoundError, DataError.
at::Tensor load_operator_file(const std::string& kind, const std::string& path);

/// As a tensor, float32. Last rows and columns that are NaN throughout are left out: they fill the space
/// beside an image that is smaller than the largest.
at::Tensor as_tensor(const FloatArray& array);

/// The tensor [...] in the first corner of an array of `shape`, NaN elsewhere: how images of different sizes
/// share a dataset.
at::Tensor embedded(const at::Tensor& values, const std::vector<std::int64_t>& shape);

/// The first corner of an array, of this shape: what `embedded` was given.
at::Tensor cut(const at::Tensor& array, at::IntArrayRef shape);

}  // namespace dwgf
