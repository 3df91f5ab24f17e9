#include "job/compute_device.hpp"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"
#include "comm/host_staged.hpp"
#include "prior/nn/precision.hpp"

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

Device visible_one(const c10::Device& device) {
  return device_backend().visible().at(static_cast<std::size_t>(device.index()));
}

/// Why devices are not connected directly; nothing where they can be.
std::optional<std::string> hindrance(const RankDevice& own) {
  if (!device_backend().connects()) return "this build cannot connect them";
  if (own.shared) return own.shared;
  if (own.any_slice) return "slices of a GPU are not connected";
  return std::nullopt;
}

ComputeDevice with_exchange(const c10::Device& device, const RankDevice& own, ExchangeBy exchange) {
  const std::optional<std::string> against = hindrance(own);
  if (exchange == ExchangeBy::nccl && against) {
    throw UsageError(
        "run.exchange = nccl: {}; start one rank a GPU (srun --gpus-per-node=N --gpu-bind=none with N ranks "
        "a node), or set run.exchange = host or auto",
        *against);
  }
  if (exchange == ExchangeBy::host) return {device, false, "as run.exchange says"};
  return {device, !against, against.value_or("")};
}

}  // namespace

ComputeDevice compute_device(Communicator& world, ComputeOn wanted, ExchangeBy exchange) {
  if (wanted == ComputeOn::cpu) return {};
  device_backend().prepare();
  const auto guard = torch_guard();
  if (wanted == ComputeOn::automatic && !all_have_a_device(world)) return {};
  if (!guard) {
    throw UsageError(
        "run.device = cuda: LibTorch finds no GPU. Either the one that this program was built with computes "
        "on the CPU alone (build with a CUDA LibTorch and -DDWGF_CUDA=ON), or this host has no GPU or no "
        "driver for it; or set run.device = cpu");
  }
  fix_arithmetic_of_devices();
  const RankDevice own = device_of_rank(world);
  const c10::Device device(guard->type(), static_cast<c10::DeviceIndex>(own.device.index));
  guard->setDevice(device);
  return with_exchange(device, own, exchange);
}

std::string describe(const c10::Device& device) {
  if (device.is_cpu()) return "the CPU";
  return formatted("GPU {} ({})", static_cast<int>(device.index()), visible_one(device).name);
}

std::string kind_of(const c10::Device& device) {
  if (device.is_cpu()) return "the CPU";
  return formatted("{}: {}", device_backend().name(), visible_one(device).name);
}

std::string particulars_of(const c10::Device& device) {
  if (device.is_cpu()) return "";
  std::string text;
  if (const std::string more = visible_one(device).more; !more.empty()) text += "; " + more;
  for (const LibraryVersions& library : device_backend().libraries())
    text += formatted("; {} {}", library.name, library.loaded);
  return text;
}

bool says_no_memory(const std::string& text) {
  return device_backend().says_no_memory(text);
}

TensorGroup::TensorGroup(Communicator& group, const c10::Device& device, bool connected) {
  if (device.is_cpu()) return;
  const ComputeStream stream = [device, guard = torch_guard()] {
    return guard->getStream(device).native_handle();
  };
  if (connected && group.size() > 1) {
    exchange_ = device_backend().connect(group, device.index(), stream);
  } else {
    exchange_ = std::make_unique<HostStagedCollective>(group, device_backend(), device.index(), stream);
  }
  own_ = exchange_.get();
}

void TensorGroup::watch(Watchdog& watchdog) {
  if (!exchange_) return;
  watched_ = std::make_unique<WatchedCollective>(*exchange_, watchdog);
  own_ = watched_.get();
}

}  // namespace dwgf
