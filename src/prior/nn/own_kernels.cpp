#include "prior/nn/own_kernels.hpp"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace dwgf {

const DeviceKernels* own_kernels(const at::Device& device) {
  return device.is_cpu() || device.is_meta() ? nullptr : device_kernels();
}

std::optional<KernelNumber> kernel_number(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return KernelNumber::float32;
    case at::kHalf:
      return KernelNumber::float16;
    case at::kBFloat16:
      return KernelNumber::bfloat16;
    default:
      return std::nullopt;
  }
}

void* stream_of(const at::Device& device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

bool has_channels_last(const at::Tensor& x) {
  if (x.dim() != 4) return false;
  const std::int64_t row = x.size(1) * x.size(3);
  return x.strides() == at::IntArrayRef({x.size(2) * row, 1, row, x.size(1)});
}

}  // namespace dwgf
