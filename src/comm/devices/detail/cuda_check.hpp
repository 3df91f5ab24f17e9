/// Return codes of the CUDA runtime as errors.
#pragma once

#include <string>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "comm/devices/detail/cuda_api.hpp"

namespace dwgf {

/// Throws RankError "what failed: CUDA says ..." unless `code` is cudaSuccess.
inline void check_cuda(cudaError_t code, const std::string& what) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // an error that is told must not be found again by the next call
  throw RankError(
      "{} failed on host {}: CUDA says \"{}\" (code {}). If another rank failed first, look for the earliest "
      "message; else look at the device (nvidia-smi)",
      what, host_name(), cudaGetErrorString(code), static_cast<int>(code));
}

}  // namespace dwgf
