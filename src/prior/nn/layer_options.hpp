/// What the layers of a network are made with: type and device of their tensors, and the kernels that
/// compute.
#pragma once

#include <ATen/core/Tensor.h>

namespace dwgf {

/// Ways through the same arithmetic, which agree to rounding.
enum class Kernels {
  /// A CPU's own where they serve: packed convolutions, the norms' loops, channels next to each other.
  host,
  /// LibTorch's operators alone; none of those that may add in an order left to chance.
  portable,
  /// The device's own where they serve (kernels/device_kernels.hpp), channels next to each other; else as
  /// `portable`.
  device
};

/// Those that are best for such tensors: a device's own for float32 and half precision, where it has any.
Kernels best_kernels(const at::TensorOptions& tensors);

struct LayerOptions {
  /// The kernels of the device, so that tensors' options can stand for these. Any may be asked for on a CPU.
  LayerOptions(const at::TensorOptions& tensors)  // NOLINT(google-explicit-constructor)
      : LayerOptions(tensors, best_kernels(tensors)) {}
  LayerOptions(const at::TensorOptions& tensors, Kernels kernels) : tensors(tensors), kernels(kernels) {}

  operator const at::TensorOptions&() const { return tensors; }  // NOLINT(google-explicit-constructor)

  at::TensorOptions tensors;
  Kernels kernels;
};

}  // namespace dwgf
