/// Devices beside the processor: what kind this build knows, which one a rank works on, and how their memory
/// is exchanged. A kind is a source in comm/devices, chosen when the program is built: none.cpp, or cuda.cpp
/// with DWGF_CUDA=ON. Nothing outside of it asks for a kind by its name.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dwgf/base/versions.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {

struct Device {
  int index = 0;  ///< among those that this process sees
  std::string name;
  std::string uuid;       ///< of the GPU, or of the slice of one: the same for every process that sees it
  std::string more = {};  ///< what else tells its arithmetic apart: multiprocessors, driver
  bool is_slice = false;  ///< of a GPU that is divided (MIG): its ranks are not connected directly
};

/// The stream that the caller's kernels are queued on (a cudaStream_t, say), asked for at every operation.
using ComputeStream = std::function<void*()>;

/// Host memory that a device copies to and from while the host goes on, one copy under way at a time.
class StagingBuffer {
 public:
  virtual ~StagingBuffer() = default;

  virtual std::span<std::byte> host() = 0;
  /// Copies device memory to the host's, from byte `first` of it on, behind what the compute stream has been
  /// given so far. Throws InternalError for memory that is not the device's.
  virtual void fetch(std::span<const std::byte> device, std::size_t first) = 0;
  /// Copies the front of the host's memory to the device, in the compute stream's order. Throws as fetch.
  virtual void deliver(std::span<std::byte> device) = 0;
  /// Whether the last copy is done; wait() returns when it is. Throws RankError where the device fails.
  virtual bool done() = 0;
  virtual void wait() = 0;
};

/// One kind of device. `comm` has no more to ask of it; what computes is LibTorch's device of the same name.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;

  /// LibTorch's name of the kind, "cuda"; empty where this build knows no devices.
  virtual std::string name() const = 0;

  /// Sets what the kind's libraries read from the environment when they are first called, so that their
  /// results are the same bits every time. To be called before anything else of the device, here or in
  /// LibTorch.
  virtual void prepare() const {}

  /// The devices that this process sees. Throws RankError (there is a driver, but it does not answer).
  virtual std::vector<Device> visible() const = 0;

  /// What it is made of: the CUDA runtime, NCCL, cuDNN.
  virtual std::vector<LibraryVersions> libraries() const = 0;

  /// Whether an error's text is one by which its libraries say that there is no memory.
  virtual bool says_no_memory(const std::string&) const { return false; }

  /// Whether devices of different ranks can be connected directly: `connect` is there.
  virtual bool connects() const = 0;

  /// Collective over `group`: its exchange on device memory, each rank on its `device`, which is an index
  /// among the visible ones and no other rank's. Throws RankError on all ranks alike (no connection),
  /// InternalError where connects() is false.
  virtual std::unique_ptr<Collective> connect(Communicator& group, int device,
                                              ComputeStream compute_stream) const = 0;

  /// Memory for an exchange through the host. Throws RankError where there is none, InternalError where this
  /// build knows no devices.
  virtual std::unique_ptr<StagingBuffer> staging(int device, std::size_t bytes,
                                                 ComputeStream compute_stream) const = 0;
};

/// The kind of device of this build.
const DeviceBackend& device_backend();

/// Which of the devices that it sees each rank of a node takes, as indices: one that the fewest others take,
/// the first of those. So where all see all, rank k takes the k-th; where the launcher gave each its own,
/// that one; where ranks outnumber devices, they share them evenly. `visible`: the UUIDs that each rank sees,
/// at least one.
std::vector<int> choose_devices(std::span<const std::vector<std::string>> visible);

/// The device of one rank, and what all ranks of the world know of theirs.
struct RankDevice {
  Device device;
  /// Names two ranks that have the same device, as a sentence without its end; nothing where all differ.
  std::optional<std::string> shared;
  bool any_slice = false;  ///< whether any rank's is one
};

/// Collective over `world`: chooses this rank's device. Throws UsageError on all ranks alike where one sees
/// none.
RankDevice device_of_rank(Communicator& world);

}  // namespace dwgf
