// GPUs and their libraries, by the CUDA runtime.
#include <cstdio>
#include <utility>

#include "comm/device.hpp"
#include "comm/devices/detail/cuda_check.hpp"
#include "comm/nccl.hpp"

namespace dwgf {
namespace {

// "GPU-6f3a...", as nvidia-smi writes it.
std::string text_of(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int k = 0; k < 16; ++k) {
    char byte[4];
    std::snprintf(byte, sizeof byte, "%02x", static_cast<unsigned char>(uuid.bytes[k]));
    if (k == 4 || k == 6 || k == 8 || k == 10) text += '-';
    text += byte;
  }
  return text;
}

std::string cuda_version(int code) {
  return formatted("{}.{}", code / 1000, code % 1000 / 10);
}
std::string nccl_version(int code) {
  return formatted("{}.{}.{}", code / 10000, code % 10000 / 100, code % 100);
}

class Cuda final : public DeviceBackend {
 public:
  std::string name() const override { return "cuda"; }

  std::vector<Device> visible() const override {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaErrorNoDevice || code == cudaErrorInsufficientDriver) {  // also: no driver at all
      cudaGetLastError();
      return {};
    }
    check_cuda(code, "counting the GPUs");
    std::vector<Device> devices;
    for (int index = 0; index < count; ++index) {
      cudaDeviceProp properties{};
      check_cuda(cudaGetDeviceProperties(&properties, index), formatted("asking for GPU {}", index));
      devices.push_back({index, properties.name, text_of(properties.uuid)});
    }
    return devices;
  }

  std::vector<LibraryVersions> libraries() const override {
    int cuda = 0, nccl = 0;
    check_cuda(cudaRuntimeGetVersion(&cuda), "asking for the CUDA runtime's version");
    if (ncclGetVersion(&nccl) != ncclSuccess) nccl = 0;
    return {{"CUDA runtime", cuda_version(CUDART_VERSION), cuda_version(cuda)},
            {"NCCL", nccl_version(NCCL_VERSION_CODE), nccl_version(nccl)}};
  }

  std::unique_ptr<Collective> connect(Communicator& group, int device,
                                      ComputeStream compute_stream) const override {
    return std::make_unique<NcclCollective>(group, device, std::move(compute_stream));
  }
};

}  // namespace

const DeviceBackend& device_backend() {
  static const Cuda backend;
  return backend;
}

}  // namespace dwgf
