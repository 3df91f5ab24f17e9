/// The memory of a device, as LibTorch's allocator for its kind tells it.
#pragma once

#include <cstdint>
#include <optional>

#include <c10/core/Device.h>

namespace dwgf {

struct DeviceMemory {
  std::uint64_t now = 0;    ///< held by tensors of this process, or kept for them [bytes]
  std::uint64_t peak = 0;   ///< the most since the last restart_peak [bytes]
  std::uint64_t free = 0;   ///< of the device, whoever holds the rest [bytes]
  std::uint64_t total = 0;  ///< of the device; 0 where the allocator does not say, as then is `free` [bytes]
};

/// Nothing for the CPU, and where LibTorch's allocator counts nothing.
std::optional<DeviceMemory> device_memory(const c10::Device& device);
void restart_peak(const c10::Device& device);

}  // namespace dwgf
