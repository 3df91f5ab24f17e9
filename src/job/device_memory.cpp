#include "job/device_memory.hpp"

#include <c10/core/CachingDeviceAllocator.h>

namespace dwgf {

namespace {

/// Nothing where the kind has none that counts.
c10::DeviceAllocator* allocator_of(const c10::Device& device) {
  if (device.is_cpu()) return nullptr;
  auto* const allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  return allocator && allocator->initialized() ? allocator : nullptr;
}

}  // namespace

std::optional<DeviceMemory> device_memory(const c10::Device& device) {
  c10::DeviceAllocator* const allocator = allocator_of(device);
  if (!allocator) return std::nullopt;
  const auto reserved =
      allocator->getDeviceStats(device.index())
          .reserved_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  DeviceMemory memory{static_cast<std::uint64_t>(reserved.current),
                      static_cast<std::uint64_t>(reserved.peak)};
  try {
    const auto [free, total] = allocator->getMemoryInfo(device.index());
    memory.free = free;
    memory.total = total;
  } catch (const c10::Error&) {  // not every allocator says
  }
  return memory;
}

void restart_peak(const c10::Device& device) {
  if (c10::DeviceAllocator* const allocator = allocator_of(device)) allocator->resetPeakStats(device.index());
}

}  // namespace dwgf
