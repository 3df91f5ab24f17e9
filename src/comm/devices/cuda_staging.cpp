#include "comm/devices/detail/cuda_staging.hpp"

#include <exception>
#include <utility>

namespace dwgf {

CudaStaging::CudaStaging(int device, std::size_t bytes, ComputeStream compute_stream)
    : bytes_(bytes), compute_stream_(std::move(compute_stream)) {
  check_cuda(cudaSetDevice(device), formatted("choosing GPU {}", device));
  check_cuda(cudaMallocHost(&memory_, bytes), formatted("taking {} bytes of pinned host memory", bytes));
  try {
    stream_ = make_urgent_stream("making a stream for copies");
  } catch (...) {
    cudaFreeHost(memory_);
    throw;
  }
}

CudaStaging::~CudaStaging() {
  try {
    wait();
  } catch (const std::exception&) {  // the device has failed, and copies nothing any more
  }
  cudaStreamDestroy(stream_);
  cudaFreeHost(memory_);
}

void CudaStaging::fetch(std::span<const std::byte> device, std::size_t first) {
  const std::string what = formatted("copying {} bytes to the host", device.size());
  require_device_memory(device.data(), device.size(), what);
  ready_.record(compute());
  ready_.hold_back(stream_);
  check_cuda(
      cudaMemcpyAsync(host().data() + first, device.data(), device.size(), cudaMemcpyDeviceToHost, stream_),
      what);
  done_.record(stream_);
  used_ = true;
}

void CudaStaging::deliver(std::span<std::byte> device) {
  const std::string what = formatted("copying {} bytes to the device", device.size());
  require_device_memory(device.data(), device.size(), what);
  check_cuda(cudaMemcpyAsync(device.data(), memory_, device.size(), cudaMemcpyHostToDevice, compute()), what);
  done_.record(compute());
  used_ = true;
}

bool CudaStaging::done() {
  return !used_ || done_.passed();
}

void CudaStaging::wait() {
  if (used_) done_.wait();
}

}  // namespace dwgf
