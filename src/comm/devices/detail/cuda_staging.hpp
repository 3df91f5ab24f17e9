/// Pinned host memory, and the copies between it and a GPU.
#pragma once

#include <cstddef>

#include "comm/device.hpp"
#include "comm/devices/detail/cuda_stream.hpp"

namespace dwgf {

class CudaStaging final : public StagingBuffer {
 public:
  CudaStaging(int device, std::size_t bytes, ComputeStream compute_stream);
  ~CudaStaging() override;

  std::span<std::byte> host() override { return {static_cast<std::byte*>(memory_), bytes_}; }
  void fetch(std::span<const std::byte> device, std::size_t first) override;
  void deliver(std::span<std::byte> device) override;
  bool done() override;
  void wait() override;

 private:
  cudaStream_t compute() const { return static_cast<cudaStream_t>(compute_stream_()); }

  std::size_t bytes_;
  ComputeStream compute_stream_;
  void* memory_ = nullptr;
  cudaStream_t stream_ = nullptr;
  CudaEvent ready_, done_;
  bool used_ = false;
};

}  // namespace dwgf
