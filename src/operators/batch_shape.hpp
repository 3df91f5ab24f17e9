/// What every operator does with its batch: check the shape that it was built for, and keep images apart.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// Throws InternalError unless `tensor` is [B, ...shape]. Without it, a wrong channel count could be
/// broadcast silently.
void expect_batch(const at::Tensor& tensor, at::IntArrayRef shape, const char* what);
void expect_batch(const at::Tensor& x, const ImageShape& shape, const char* what);

/// one(0), ..., one(count - 1) stacked to a batch: for kernels that round differently for another number of
/// images, or for another place of the image in memory. @pre count >= 1
at::Tensor image_by_image(std::int64_t count, const std::function<at::Tensor(std::int64_t)>& one);

/// Half precisions as float32, for what is not computed in them; the others as they are.
at::Tensor at_least_float(const at::Tensor& x);

}  // namespace dwgf
