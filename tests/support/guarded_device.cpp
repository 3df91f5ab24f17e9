#include "support/guarded_device.hpp"

#include <mutex>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "support/guarded_counts.hpp"
#include "support/guarded_memory.hpp"

namespace guarded {
namespace {

const c10::Device kDevice{c10::DeviceType::PrivateUse1, 0};

std::mutex counting;
Counts total;

template <class Change>
void change_counts(const Change& change) {
  const std::lock_guard lock(counting);
  change(total);
}

/// With the statistics that LibTorch's allocators of devices have.
struct Allocator final : c10::DeviceAllocator {
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, kDevice};
    count_allocation();
    void* const block = Memory::instance().allocate(bytes);
    return {block, block, [](void* freed) { Memory::instance().free(freed); }, kDevice};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    const Opened opened({to, from});
    default_copy_data(to, from, bytes);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    for (auto* bytes : {&stats.allocated_bytes, &stats.reserved_bytes}) {
      bytes->front().current = static_cast<std::int64_t>(Memory::instance().in_use());
      bytes->front().peak = static_cast<std::int64_t>(Memory::instance().peak());
    }
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override { Memory::instance().restart_peak(); }
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex) override {
    const std::size_t all = Memory::instance().limit();
    return {all - Memory::instance().in_use(), all};
  }
};
Allocator allocator;
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &allocator)

/// One device with one stream, on which everything is done at once.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::DeviceType::PrivateUse1;
  explicit Guard(c10::DeviceType = static_type) {}
  c10::DeviceType type() const override { return static_type; }
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, kDevice); }
  c10::Stream getDefaultStream(c10::Device) const override { return getStream(kDevice); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return getStream(kDevice); }
  c10::Stream getNewStream(c10::Device, int) const override { return getStream(kDevice); }
  c10::Stream exchangeStream(c10::Stream) const override { return getStream(kDevice); }
  void* getStreamNativeHandle(c10::Stream) const override { return nullptr; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override { count_sync("synchronizeStream"); }
  void synchronizeEvent(void*) const override { count_sync("synchronizeEvent"); }
  void synchronizeDevice(c10::DeviceIndex) const override { count_sync("synchronizeDevice"); }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

/// Autograd asks for these, and a generator by at::manual_seed.
struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  at::Device getDeviceFromPtr(void*) const override { return kDevice; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::detail::createCPUGenerator(); }
};

[[maybe_unused]] const bool registered = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  c10::register_privateuse1_backend("guarded");
  return true;
}();

}  // namespace

c10::Device device() {
  return kDevice;
}

Counts counts() {
  Counts copy;
  change_counts([&](Counts& all) { copy = all; });
  copy.peak_bytes = Memory::instance().peak();
  return copy;
}

void reset_counts() {
  change_counts([](Counts& all) { all = {}; });
  Memory::instance().restart_peak();
}

Opened::Opened(std::vector<const void*> addresses) : addresses_(std::move(addresses)) {
  std::erase_if(addresses_, [](const void* address) { return !Memory::instance().open(address); });
}
Opened::~Opened() {
  for (const void* address : addresses_) Memory::instance().close(address);
}

void count_operator(const std::string& name) {
  change_counts([&](Counts& all) {
    ++all.operators;
    ++all.operator_calls[name];
  });
}
void count_view() {
  change_counts([](Counts& all) { ++all.views; });
}
void count_sync(const std::string& name) {
  change_counts([&](Counts& all) {
    ++all.syncs;
    ++all.sync_calls[name];
  });
}
void count_upload() {
  change_counts([](Counts& all) { ++all.uploads; });
}
void count_allocation() {
  change_counts([](Counts& all) { ++all.allocations; });
}

}  // namespace guarded
