// What there is of GPUs in a build without CUDA.
#include <dwgf/base/error.hpp>

#include "comm/device.hpp"
#include "comm/nccl.hpp"

namespace dwgf {

std::vector<Device> visible_devices() {
  return {};
}
std::vector<LibraryVersions> gpu_libraries() {
  return {};
}

std::unique_ptr<Collective> make_nccl_collective(Communicator&, int, NcclCollective::ComputeStream) {
  throw InternalError("NCCL was asked for in a build without it");
}

}  // namespace dwgf
