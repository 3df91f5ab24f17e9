/// Which GPU a rank works on. The choice is pure arithmetic; what there is comes from the CUDA runtime, in
/// builds that have one (DWGF_CUDA=ON), and is nothing in others.
#pragma once

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

/// The devices that this process sees. Throws RankError (there is a driver, but it does not answer).
std::vector<Device> visible_devices();

/// The CUDA runtime and NCCL.
std::vector<LibraryVersions> gpu_libraries();

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
