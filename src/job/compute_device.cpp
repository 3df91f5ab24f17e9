#include "job/compute_device.hpp"

#include <algorithm>

#include <ATen/Context.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"
#include "comm/nccl.hpp"

namespace dwgf {

namespace {

// By the guard that LibTorch registers for its device, not by CUDA's own headers: this file is the same in
// every build.
const c10::impl::VirtualGuardImpl cuda_guard() {
  return c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA);
}

/// Whether every rank sees a GPU.
bool all_see_a_device(Communicator& world) {
  std::int64_t blind[1] = {1};
  try {
    blind[0] = visible_devices().empty();
  } catch (const Error&) {  // a driver that does not answer is no GPU to compute on
  }
  world.all_reduce_max(blind);
  return blind[0] == 0;
}

}  // namespace

c10::Device compute_device(Communicator& world, const Settings& settings) {
  const std::string& wanted = settings.text("run.device");
  if (wanted == "cpu") return at::kCPU;
  if (wanted == "auto" && !(at::Context::hasCUDA() && all_see_a_device(world))) return at::kCPU;
  if (!at::Context::hasCUDA()) {
    throw UsageError(
        "run.device = cuda: LibTorch finds no GPU. Either the one that this program was built with computes "
        "on the CPU alone (build with a "
        "CUDA LibTorch and -DDWGF_CUDA=ON), or this host has no GPU or no driver for it; or set run.device = "
        "cpu");
  }
  const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device_of_rank(world).index));
  cuda_guard().setDevice(device);
  return device;
}

std::string describe(const c10::Device& device) {
  if (device.is_cpu()) return "the CPU";
  const std::vector<Device> visible = visible_devices();
  return concat("GPU ", static_cast<int>(device.index()), " (",
                visible.at(static_cast<std::size_t>(device.index())).name, ")");
}

TensorGroup::TensorGroup(Communicator& group, const c10::Device& device) {
  if (device.is_cpu()) return;
  if (group.size() == 1) {
    own_ = std::make_unique<SelfCollective>();
    return;
  }
  own_ = make_nccl_collective(group, device.index(),
                              [device] { return cuda_guard().getStream(device).native_handle(); });
}

}  // namespace dwgf
