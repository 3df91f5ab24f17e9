// What there is of GPUs in a build without CUDA.
#include <dwgf/comm/device.hpp>

namespace dwgf {

std::vector<Device> visible_devices() {
  return {};
}
std::vector<LibraryVersions> gpu_libraries() {
  return {};
}

}  // namespace dwgf
