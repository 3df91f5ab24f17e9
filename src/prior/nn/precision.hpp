/// The precision that a network computes in, and what its calls need beside a cast.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace dwgf {

struct NetworkPrecision {
  at::ScalarType type = at::kFloat;
  bool tf32 = false;  ///< GPUs may round float32 factors to TF32 (10 bits of mantissa) before they multiply
};

bool is_half(at::ScalarType type);

/// Sets LibTorch's switches for devices so that a result is the same bits every time: kernels whose sums have
/// one order, or an error where an operator has none; no choice of kernels by timing; sums in float32 of
/// products in half precision. To be called before the first call of a device; on a CPU never, whose bits it
/// leaves alone.
void fix_arithmetic_of_devices();

/// Sets LibTorch's global switches for TF32, some of which are on by default, for one network's call on a
/// device. Does nothing on a CPU.
class ScopedTf32 {
 public:
  ScopedTf32(bool allowed, at::Device device);
  ~ScopedTf32();
  ScopedTf32(const ScopedTf32&) = delete;
  ScopedTf32& operator=(const ScopedTf32&) = delete;

 private:
  bool active_, convolutions_ = false, matrices_ = false;
};

/// `pull` of a network of this precision, for cotangents [B, ...] of any size, within ScopedTf32. It is
/// linear, so each sample's cotangent may be scaled by a power of two, without rounding, to where half
/// precision resolves it: gradients of mean losses are small (1e-5 and below), and float16 ends at 6e-8.
std::function<at::Tensor(const at::Tensor&)> pull_in(NetworkPrecision precision, at::Device device,
                                                     std::function<at::Tensor(const at::Tensor&)> pull);

}  // namespace dwgf
