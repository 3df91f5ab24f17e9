/// Where a rank computes (`run.device`), and how its tensors reach the ranks it shares an image with
/// (`run.exchange`).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <c10/core/Device.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>

#include "comm/watchdog.hpp"
#include "input/job_input.hpp"

namespace dwgf {

/// A rank's device, and how the tensors of it are exchanged: the same on all ranks.
struct ComputeDevice {
  c10::Device device = c10::Device(c10::DeviceType::CPU);
  bool connected = false;  ///< directly (NCCL); else through the host's memory
  std::string why = {};    ///< it is not, where it was not asked for; empty on a CPU
};

/// Collective over `world`. cpu: the CPU; device: one of this build's kind, which becomes LibTorch's current
/// one (comm/device.hpp says which of several); auto: a device where this build, LibTorch and every rank's
/// host have one, else the CPU. LibTorch's arithmetic on devices is set before the first call
/// (prior/nn/precision.hpp). The exchange is direct where `exchange` asks for it, or leaves it open and every
/// rank has a device of its own that can be connected. Throws UsageError on all ranks alike: no device to be
/// had, saying what is missing; a direct exchange between ranks that share one.
ComputeDevice compute_device(Communicator& world, ComputeOn wanted, ExchangeBy exchange);

/// "the CPU", or "GPU 0 (its name)".
std::string describe(const c10::Device& device);

/// What decides the bits of a result, for the record: "the CPU", or "cuda: its name".
std::string kind_of(const c10::Device& device);
/// Of a device, beside its kind: multiprocessors, driver, libraries, each after "; ". Empty for the CPU.
std::string particulars_of(const c10::Device& device);

/// Whether a text is that of a device's library which finds no memory (prior/oom_guard.hpp).
bool says_no_memory(const std::string& text);

/// The exchange of one group's tensors: MPI on a CPU's memory; on devices directly, or through the host.
class TensorGroup {
 public:
  /// Collective over `group`, which outlives this. A group of one is never connected.
  TensorGroup(Communicator& group, const c10::Device& device, bool connected = false);

  /// With `host` for what is on the host: `group`, or something around it.
  RankGroup with(Collective& host) { return {host, own_ ? *own_ : host}; }
  /// The same, with a watchdog told of what a device waits for, as long as this lives.
  void watch(Watchdog& watchdog);

 private:
  std::unique_ptr<Collective> exchange_;  // empty on a CPU
  std::unique_ptr<Collective> watched_;   // around it
  Collective* own_ = nullptr;             // the outer one of them
};

}  // namespace dwgf
