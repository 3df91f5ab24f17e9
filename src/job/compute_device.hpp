/// Where a rank computes (`run.device`), and how its tensors reach the ranks it shares an image with.
#pragma once

#include <memory>
#include <string>

#include <c10/core/Device.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>

#include "input/job_input.hpp"

namespace dwgf {

/// Collective over `world`. cpu: the CPU; cuda: a GPU of this rank's own (comm/device.hpp), which becomes
/// LibTorch's current one; auto: cuda where this build, LibTorch and every rank's host have one, else the
/// CPU. Throws UsageError where cuda cannot be had, saying which of the three is missing.
c10::Device compute_device(Communicator& world, ComputeOn wanted);

/// "the CPU", or the GPU's name.
std::string describe(const c10::Device& device);

/// The exchange of one group's tensors: MPI on a CPU's memory, NCCL on GPUs.
class TensorGroup {
 public:
  /// Collective over `group`, which outlives this.
  TensorGroup(Communicator& group, const c10::Device& device);

  /// With `host` for what is on the host: `group`, or something around it.
  RankGroup with(Collective& host) { return {host, own_ ? *own_ : host}; }

 private:
  std::unique_ptr<Collective> own_;  // empty on a CPU
};

}  // namespace dwgf
