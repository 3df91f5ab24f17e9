// A build whose devices, if any, have LibTorch's operators alone.
#include "kernels/device_kernels.hpp"

namespace dwgf {

const DeviceKernels* device_kernels() {
  return nullptr;
}

}  // namespace dwgf
