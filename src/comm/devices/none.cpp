// A build without devices.
#include <dwgf/base/error.hpp>

#include "comm/device.hpp"

namespace dwgf {
namespace {

class NoDevices final : public DeviceBackend {
 public:
  std::string name() const override { return ""; }
  std::vector<Device> visible() const override { return {}; }
  std::vector<LibraryVersions> libraries() const override { return {}; }
  bool connects() const override { return false; }
  std::unique_ptr<Collective> connect(Communicator&, int, ComputeStream) const override {
    throw InternalError("device memory is to be exchanged in a build that knows no devices");
  }
  std::unique_ptr<StagingBuffer> staging(int, std::size_t, ComputeStream) const override {
    throw InternalError("device memory is to be copied in a build that knows no devices");
  }
};

}  // namespace

const DeviceBackend& device_backend() {
  static const NoDevices backend;
  return backend;
}

}  // namespace dwgf
