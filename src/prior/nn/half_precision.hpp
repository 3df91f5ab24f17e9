/// What networks of half precision need beside a cast. Private to the prior layer.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace dwgf {

bool is_half(at::ScalarType type);

/// `pull_back` of a network of this type, for cotangents [B, ...] of any size. It is linear, so each sample's
/// cotangent may be scaled by a power of two, without rounding, to where half precision resolves it:
/// gradients of mean losses are small (1e-5 and below), and float16 ends at 6e-8. As it is for other types.
std::function<at::Tensor(const at::Tensor&)> within_range(
    std::function<at::Tensor(const at::Tensor&)> pull_back, at::ScalarType type);

}  // namespace dwgf
