// Kernels for GPUs of NVIDIA, by nvcc.
#include <cuda_runtime.h>

#include <dwgf/base/error.hpp>

#include "kernels/detail/kernel_calls.hpp"

namespace dwgf {
namespace {

struct CudaLauncher {
  template <class Kernel>
  void operator()(const Kernel& kernel, const kernels::Grid& grid, void* stream) const {
    if (grid.blocks == 0) return;
    kernels::run_kernel<<<static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.threads),
                          grid.shared_bytes, static_cast<cudaStream_t>(stream)>>>(kernel);
    const cudaError_t code = cudaGetLastError();
    if (code == cudaSuccess) return;
    throw RankError(
        "queueing a kernel of {} blocks of {} threads failed: CUDA says \"{}\" (code {}). Is the GPU of "
        "compute "
        "capability 8.0 or above (nvidia-smi --query-gpu=compute_cap --format=csv)?",
        grid.blocks, grid.threads, cudaGetErrorString(code), static_cast<int>(code));
  }
};

}  // namespace

const DeviceKernels* device_kernels() {
  static const kernels::KernelCalls<CudaLauncher> calls;
  return &calls;
}

}  // namespace dwgf
