// GPUs and their libraries, by the CUDA runtime.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include <dlfcn.h>

#include "comm/device.hpp"
#include "comm/devices/detail/cuda_staging.hpp"
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

/// Of cuDNN, which LibTorch brings; this program does not link it.
std::string cudnn_version() {
  using Version = std::size_t();
  auto* const version = reinterpret_cast<Version*>(dlsym(RTLD_DEFAULT, "cudnnGetVersion"));
  if (!version) return "";
  const std::size_t code = version();
  const std::size_t major = code < 90000 ? code / 1000 : code / 10000;
  const std::size_t rest = code < 90000 ? code % 1000 : code % 10000;
  return formatted("{}.{}.{}", major, rest / 100, rest % 100);
}

/// "550.54.15", as the kernel's module says; empty where it does not.
std::string driver_release() {
  std::ifstream in("/proc/driver/nvidia/version");
  std::string line, word;
  std::getline(in, line);
  for (std::istringstream words(line); words >> word;)
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos)
      return word;
  return "";
}

std::string driver_version() {
  int cuda = 0;
  if (cudaDriverGetVersion(&cuda) != cudaSuccess) cuda = 0;
  const std::string release = driver_release();
  return formatted("driver {}for CUDA {}", release.empty() ? "" : release + " ", cuda_version(cuda));
}

class Cuda final : public DeviceBackend {
 public:
  std::string name() const override { return "cuda"; }

  void prepare() const override {
    // cuBLAS sums in one order only where its workspace is fixed
    // (https://docs.nvidia.com/cuda/cublas/#results-reproducibility); a choice of the user's stays.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  }

  std::vector<Device> visible() const override {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaErrorNoDevice || code == cudaErrorInsufficientDriver) {  // also: no driver at all
      cudaGetLastError();
      return {};
    }
    check_cuda(code, "counting the GPUs");
    std::vector<Device> devices;
    const std::string driver = driver_version();
    for (int index = 0; index < count; ++index) {
      cudaDeviceProp properties{};
      check_cuda(cudaGetDeviceProperties(&properties, index), formatted("asking for GPU {}", index));
      const std::string name = properties.name;
      devices.push_back({index, name, text_of(properties.uuid),
                         formatted("{} multiprocessors of kind {}.{}, {}", properties.multiProcessorCount,
                                   properties.major, properties.minor, driver),
                         name.find(" MIG ") != std::string::npos});
    }
    return devices;
  }

  std::vector<LibraryVersions> libraries() const override {
    int cuda = 0, nccl = 0;
    check_cuda(cudaRuntimeGetVersion(&cuda), "asking for the CUDA runtime's version");
    if (ncclGetVersion(&nccl) != ncclSuccess) nccl = 0;
    std::vector<LibraryVersions> libraries = {
        {"CUDA runtime", cuda_version(CUDART_VERSION), cuda_version(cuda)},
        {"NCCL", nccl_version(NCCL_VERSION_CODE), nccl_version(nccl)}};
    if (const std::string cudnn = cudnn_version(); !cudnn.empty())
      libraries.push_back({"cuDNN", "LibTorch", cudnn});
    return libraries;
  }

  /// cuDNN finds no engine where none has room for its workspace
  /// (https://github.com/pytorch/pytorch/issues/108645); cuBLAS makes its handle when it is first called.
  bool says_no_memory(const std::string& text) const override {
    for (const char* words : {"out of memory", "cudaErrorMemoryAllocation", "CUBLAS_STATUS_ALLOC_FAILED",
                              "CUDNN_STATUS_ALLOC_FAILED", "DEVICE_ALLOCATION_FAILED",
                              "nable to find an engine to execute this computation"})
      if (text.find(words) != std::string::npos) return true;
    return text.find("CUBLAS_STATUS_NOT_INITIALIZED") != std::string::npos &&
           text.find("cublasCreate") != std::string::npos;
  }

  bool connects() const override { return true; }

  std::unique_ptr<Collective> connect(Communicator& group, int device,
                                      ComputeStream compute_stream) const override {
    return std::make_unique<NcclCollective>(group, device, std::move(compute_stream));
  }

  std::unique_ptr<StagingBuffer> staging(int device, std::size_t bytes,
                                         ComputeStream compute_stream) const override {
    return std::make_unique<CudaStaging>(device, bytes, std::move(compute_stream));
  }
};

}  // namespace

const DeviceBackend& device_backend() {
  static const Cuda backend;
  return backend;
}

}  // namespace dwgf
