/// Devices beside the processor: what kind this build knows, which one a rank works on, and how their memory
/// is exchanged. A kind is a source in comm/devices, chosen when the program is built: none.cpp, or cuda.cpp
/// with DWGF_CUDA=ON.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <dwgf/base/versions.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {

struct Device {
  int index = 0;  ///< among those that this process sees
  std::string name;
  std::string uuid;  ///< of the GPU, or of the slice of one: the same for every process that sees it
};

/// The stream that the caller's kernels are queued on (a cudaStream_t, say), asked for at every operation.
using ComputeStream = std::function<void*()>;

/// One kind of device. `comm` has no more to ask of it; what computes is LibTorch's device of the same name.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;

  /// LibTorch's name of the kind, "cuda"; empty where this build knows no devices.
  virtual std::string name() const = 0;

  /// The devices that this process sees. Throws RankError (there is a driver, but it does not answer).
  virtual std::vector<Device> visible() const = 0;

  /// What it is made of: the CUDA runtime and NCCL.
  virtual std::vector<LibraryVersions> libraries() const = 0;

  /// Collective over `group`: its exchange on device memory, each rank on its `device`, which is an index
  /// among the visible ones. Throws RankError on all ranks alike (no connection), InternalError where this
  /// build knows no devices.
  virtual std::unique_ptr<Collective> connect(Communicator& group, int device,
                                              ComputeStream compute_stream) const = 0;
};

/// The kind of device of this build.
const DeviceBackend& device_backend();

/// The index of the device that a rank takes. Where each rank of a node sees one (the launcher bound them),
/// it is that one; where all see all, rank k of a node takes the k-th. Throws UsageError when a node has
/// fewer devices than ranks, or none.
int choose_device(int local_rank, int local_size, int visible, const std::string& host);

/// Throws UsageError naming both ranks if two ranks have the same device: NCCL would hang on it. One entry a
/// rank, the same on all ranks.
void require_distinct_devices(std::span<const std::string> uuids, std::span<const std::string> hosts);

/// Collective over `world`: chooses this rank's device and checks that no other rank has it.
Device device_of_rank(Communicator& world);

}  // namespace dwgf
