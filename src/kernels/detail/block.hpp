/// Kernels written once, compiled for CUDA and for the host. A kernel is an object with
///
///     template <class Block> DWGF_DEVICE void operator()(const Block& block) const
///
/// which computes in phases: block.each_thread(f) calls f(thread) for every thread of the block, and what a
/// phase has left in the block's shared memory is there for all in the next one. So nothing of a thread lives
/// from one phase to another but there. On a GPU a phase ends in a barrier; on the host threads are a loop,
/// run forwards or backwards: a kernel in which one thread needs what another writes in the same phase comes
/// to other values then.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define DWGF_DEVICE __device__ __forceinline__
#define DWGF_PRAGMA(words) _Pragma(#words)
#define DWGF_UNROLL(count) DWGF_PRAGMA(unroll count)
#else
#include <vector>
#define DWGF_DEVICE inline
#define DWGF_UNROLL(count)
#endif

namespace dwgf::kernels {

/// Threads of a block at most.
inline constexpr int kMostThreads = 512;

struct Grid {
  std::int64_t blocks = 0;
  int threads = 0;
  std::size_t shared_bytes = 0;
};

#ifdef __CUDACC__

class CudaBlock {
 public:
  DWGF_DEVICE explicit CudaBlock(float* shared) : shared_(shared) {}
  DWGF_DEVICE std::int64_t index() const { return blockIdx.x; }
  DWGF_DEVICE int threads() const { return static_cast<int>(blockDim.x); }
  DWGF_DEVICE float* shared() const { return shared_; }
  template <class Phase>
  DWGF_DEVICE void each_thread(const Phase& phase) const {
    phase(static_cast<int>(threadIdx.x));
    __syncthreads();
  }

 private:
  float* shared_;
};

template <class Kernel>
__global__ void __launch_bounds__(kMostThreads, 1) run_kernel(const __grid_constant__ Kernel kernel) {
  extern __shared__ float4 dwgf_shared_memory[];
  kernel(CudaBlock(reinterpret_cast<float*>(dwgf_shared_memory)));
}

#else

enum class ThreadOrder { forwards, backwards };

class HostBlock {
 public:
  HostBlock(std::int64_t index, int threads, float* shared, ThreadOrder order)
      : index_(index), threads_(threads), shared_(shared), order_(order) {}
  std::int64_t index() const { return index_; }
  int threads() const { return threads_; }
  float* shared() const { return shared_; }
  template <class Phase>
  void each_thread(const Phase& phase) const {
    for (int k = 0; k < threads_; ++k) phase(order_ == ThreadOrder::forwards ? k : threads_ - 1 - k);
  }

 private:
  std::int64_t index_;
  int threads_;
  float* shared_;
  ThreadOrder order_;
};

/// Runs all blocks of a kernel, one after another, each with shared memory of its own that nobody has
/// written: NaN.
template <class Kernel>
void run_on_host(const Kernel& kernel, const Grid& grid, ThreadOrder order) {
  for (std::int64_t k = 0; k < grid.blocks; ++k) {
    std::vector<std::uint32_t> shared(grid.shared_bytes / 4, 0xFFFFFFFFU);
    const std::int64_t index = order == ThreadOrder::forwards ? k : grid.blocks - 1 - k;
    kernel(HostBlock(index, grid.threads, reinterpret_cast<float*>(shared.data()), order));
  }
}

#endif

}  // namespace dwgf::kernels
