/// The kernels of devices (kernels/device_kernels.hpp) on the host, one thread after another: for tests of
/// their arithmetic, and for the guarded device. Slow.
#pragma once

#include "kernels/detail/kernel_calls.hpp"

namespace dwgf::test {

using namespace kernels;

struct HostLauncher {
  ThreadOrder order = ThreadOrder::forwards;

  template <class Kernel>
  void operator()(const Kernel& kernel, const Grid& grid, void*) const {
    run_on_host(kernel, grid, order);
  }
};
using HostKernels = KernelCalls<HostLauncher>;

}  // namespace dwgf::test
