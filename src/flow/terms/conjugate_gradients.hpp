/// Conjugate gradients for the systems of corrections in the space of measurements, sample by sample.
#pragma once

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// A number a sample [B] in the shape and type of `values` [B, ...].
at::Tensor per_sample(const at::Tensor& numbers, const at::Tensor& values);

/// u of (G + R) u = r after `iterations` from 0, preconditioned by R.
/// @param gram      G u for u [B, ...]: of every sample its own, symmetric, positive semi-definite
/// @param right     r [B, ...]
/// @param variance  the diagonal R [B, ...], above 0
at::Tensor solve_by_conjugate_gradients(const std::function<at::Tensor(const at::Tensor& u)>& gram,
                                        const at::Tensor& right, const at::Tensor& variance,
                                        std::int64_t iterations);

}  // namespace dwgf
