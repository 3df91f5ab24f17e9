// The guarded device as the kind of device of a program: linked in place of comm/devices/none.cpp or
// cuda.cpp. All ranks of a host have the same one, so they exchange through the host's memory.
#include <atomic>
#include <cstring>
#include <vector>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"
#include "support/guarded_counts.hpp"
#include "support/guarded_memory.hpp"

namespace dwgf {
namespace {

/// A block of the device that is open while this lives.
class OpenedBlock {
 public:
  explicit OpenedBlock(const void* address) : address_(address) {
    if (!guarded::Memory::instance().open(address))
      throw InternalError("memory that is not the guarded device's is to be exchanged as such");
  }
  ~OpenedBlock() { guarded::Memory::instance().close(address_); }
  OpenedBlock(const OpenedBlock&) = delete;
  OpenedBlock& operator=(const OpenedBlock&) = delete;

 private:
  const void* address_;
};

/// A wait for the copy that was begun last is one of the host for the device; for an earlier one it is not.
class GuardedStaging final : public StagingBuffer {
 public:
  explicit GuardedStaging(std::size_t bytes) : memory_(bytes) {}
  std::span<std::byte> host() override { return memory_; }
  void fetch(std::span<const std::byte> device, std::size_t first) override {
    const OpenedBlock opened(device.data());
    std::memcpy(memory_.data() + first, device.data(), device.size());
    last_ = this;
  }
  void deliver(std::span<std::byte> device) override {
    const OpenedBlock opened(device.data());
    std::memcpy(device.data(), memory_.data(), device.size());
  }
  bool done() override { return true; }
  void wait() override {
    if (last_ == this) guarded::count_sync("a copy to pinned memory");
  }

 private:
  static inline std::atomic<const void*> last_ = nullptr;
  std::vector<std::byte> memory_;
};

class GuardedBackend final : public DeviceBackend {
 public:
  std::string name() const override { return "guarded"; }
  std::vector<Device> visible() const override {
    return {{.index = 0,
             .name = "a guarded device",
             .uuid = "guarded on " + host_name(),
             .more = "made of pages"}};
  }
  std::vector<LibraryVersions> libraries() const override { return {}; }
  bool connects() const override { return false; }
  std::unique_ptr<Collective> connect(Communicator&, int, ComputeStream) const override {
    throw InternalError("guarded devices are not connected directly");
  }
  std::unique_ptr<StagingBuffer> staging(int, std::size_t bytes, ComputeStream) const override {
    return std::make_unique<GuardedStaging>(bytes);
  }
};

}  // namespace

const DeviceBackend& device_backend() {
  static const GuardedBackend backend;
  return backend;
}

}  // namespace dwgf
