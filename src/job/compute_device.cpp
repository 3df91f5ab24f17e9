#include "job/compute_device.hpp"

#include <optional>

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"

namespace dwgf {

namespace {

/// The guard that LibTorch registers for this build's kind of device, by which this file needs no headers of
/// that kind; nothing where LibTorch has no such device.
std::optional<c10::impl::VirtualGuardImpl> torch_guard() {
  const std::string name = device_backend().name();
  if (name.empty()) return std::nullopt;
  const c10::DeviceType type = c10::Device(name).type();
  if (!c10::impl::hasDeviceGuardImpl(type)) return std::nullopt;
  const c10::impl::VirtualGuardImpl guard(type);
  return guard.deviceCount() > 0 ? std::optional(guard) : std::nullopt;
}

/// Whether every rank has a device that LibTorch can compute on.
bool all_have_a_device(Communicator& world) {
  std::int64_t blind[1] = {1};
  try {
    blind[0] = !torch_guard() || device_backend().visible().empty();
  } catch (const Error&) {  // a driver that does not answer is no GPU to compute on
  }
  world.all_reduce_max(blind);
  return blind[0] == 0;
}

}  // namespace

c10::Device compute_device(Communicator& world, ComputeOn wanted) {
  if (wanted == ComputeOn::cpu) return at::kCPU;
  const auto guard = torch_guard();
  if (wanted == ComputeOn::automatic && !all_have_a_device(world)) return at::kCPU;
  if (!guard) {
    throw UsageError(
        "run.device = cuda: LibTorch finds no GPU. Either the one that this program was built with computes "
        "on the CPU alone (build with a "
        "CUDA LibTorch and -DDWGF_CUDA=ON), or this host has no GPU or no driver for it; or set run.device = "
        "cpu");
  }
  const c10::Device device(guard->type(), static_cast<c10::DeviceIndex>(device_of_rank(world).index));
  guard->setDevice(device);
  return device;
}

std::string describe(const c10::Device& device) {
  if (device.is_cpu()) return "the CPU";
  const std::vector<Device> visible = device_backend().visible();
  return formatted("GPU {} ({})", static_cast<int>(device.index()),
                   visible.at(static_cast<std::size_t>(device.index())).name);
}

TensorGroup::TensorGroup(Communicator& group, const c10::Device& device) {
  if (device.is_cpu()) return;
  if (group.size() == 1) {
    own_ = std::make_unique<SelfCollective>();
    return;
  }
  own_ = device_backend().connect(group, device.index(), [device, guard = torch_guard()] {
    return guard->getStream(device).native_handle();
  });
}

}  // namespace dwgf
