/// Streams and events of the CUDA runtime as values, and what both ways of exchange ask of memory.
#pragma once

#include <cstddef>
#include <string>

#include "comm/devices/detail/cuda_check.hpp"

namespace dwgf {

/// An event that only orders streams.
class CudaEvent {
 public:
  CudaEvent() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event"); }
  ~CudaEvent() { cudaEventDestroy(event_); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  void record(cudaStream_t stream) { check_cuda(cudaEventRecord(event_, stream), "recording an event"); }
  void hold_back(cudaStream_t stream) const {
    check_cuda(cudaStreamWaitEvent(stream, event_, 0), "ordering two streams");
  }
  /// From any thread.
  bool passed() const {
    const cudaError_t code = cudaEventQuery(event_);
    if (code == cudaErrorNotReady) return false;
    check_cuda(code, "work on the device");
    return true;
  }
  void wait() const { check_cuda(cudaEventSynchronize(event_), "work on the device"); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// A stream beside the compute stream, of the highest priority: what it does is short, and waiting behind
/// the kernels of a network would hold up all ranks.
inline cudaStream_t make_urgent_stream(const std::string& what) {
  int least = 0, greatest = 0;
  check_cuda(cudaDeviceGetStreamPriorityRange(&least, &greatest), what);
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest), what);
  return stream;
}

/// Throws InternalError unless the memory is a device's.
inline void require_device_memory(const void* pointer, std::size_t bytes, const std::string& what) {
  if (bytes == 0) return;
  cudaPointerAttributes attributes{};
  check_cuda(cudaPointerGetAttributes(&attributes, pointer), what);
  if (attributes.type == cudaMemoryTypeDevice) return;
  throw InternalError("{}: its buffer is not device memory; host data goes by MPI", what);
}

}  // namespace dwgf
