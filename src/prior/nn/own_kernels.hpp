/// The kernels of a device's own (kernels/device_kernels.hpp), as tensors call them.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "kernels/device_kernels.hpp"

namespace dwgf {

/// Those of the device; null for a CPU, and where this build's kind of device has none.
const DeviceKernels* own_kernels(const at::Device& device);

/// Nothing for a type that they do not know.
std::optional<KernelNumber> kernel_number(at::ScalarType type);

/// LibTorch's current stream of the device.
void* stream_of(const at::Device& device);

/// Whether x [B, C, H, W] lies in memory with its channels next to each other, without gaps.
bool has_channels_last(const at::Tensor& x);

}  // namespace dwgf
