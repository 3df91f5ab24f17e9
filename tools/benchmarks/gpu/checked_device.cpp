#include "gpu/checked_device.hpp"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace dwgf::gpu {
namespace {

at::Device device_named(const std::string& name) {
  const at::Device device(name);
  if (device.is_cpu()) return device;
  if (!c10::impl::hasDeviceGuardImpl(device.type()) ||
      c10::impl::VirtualGuardImpl(device.type()).deviceCount() == 0)
    throw NoDevice("LibTorch finds no device '" + name + "' here");
  return at::Device(device.type(), 0);
}

}  // namespace

CheckedDevice::CheckedDevice(Communicator& world, const std::string& name)
    : world_(world), device_(device_named(name)) {
  if (!device_.is_cpu()) c10::impl::VirtualGuardImpl(device_.type()).setDevice(device_);
  exchange_.emplace(world, device_);
}

void CheckedDevice::wait() const {
  if (!device_.is_cpu()) c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
}

std::optional<std::uint64_t> CheckedDevice::take_peak_bytes() const {
  if (!device_.is_cuda()) return std::nullopt;
  at::DeviceAllocator* const allocator = at::getDeviceAllocator(device_.type());
  const auto all = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const std::int64_t peak = allocator->getDeviceStats(device_.index()).allocated_bytes[all].peak;
  allocator->resetPeakStats(device_.index());
  return static_cast<std::uint64_t>(peak);
}

}  // namespace dwgf::gpu
