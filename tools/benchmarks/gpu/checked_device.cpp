#include "gpu/checked_device.hpp"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf::gpu {
namespace {

at::Device device_named(Communicator& world, const std::string& name) {
  if (name == "cpu") return at::kCPU;
  try {
    if (name == device_backend().name())
      return compute_device(world, ComputeOn::device, ExchangeBy::automatic).device;
    fix_arithmetic_of_devices();
    const at::Device device(at::Device(name).type(), 0);
    if (c10::impl::hasDeviceGuardImpl(device.type())) return device;
  } catch (const UsageError& error) {
    throw NoDevice(error.what());
  } catch (const c10::Error&) {  // no such name
  }
  throw NoDevice("there is no device '" + name + "' in this build");
}

}  // namespace

CheckedDevice::CheckedDevice(Communicator& world, const std::string& name)
    : world_(world), device_(device_named(world, name)) {
  exchange_.emplace(world, device_);
}

std::unique_ptr<Collective> CheckedDevice::connected() const {
  if (device_.is_cpu() || !device_backend().connects()) return nullptr;
  return device_backend().connect(world_, device_.index(), [device = device_] {
    return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
  });
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
