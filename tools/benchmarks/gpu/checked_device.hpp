/// The device that is checked: "cuda", or "cpu" or "guarded" (tests/support/guarded_device.hpp) where the
/// checks themselves are tried.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/mpi.hpp>

#include "job/compute_device.hpp"

namespace dwgf::gpu {

/// There is no device of that name here.
struct NoDevice : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class CheckedDevice {
 public:
  /// Throws NoDevice. @pre `world` is of one rank and outlives this
  CheckedDevice(Communicator& world, const std::string& name);

  const at::Device& device() const { return device_; }
  Communicator& world() const { return world_; }
  /// The exchange of one rank on the device's memory.
  RankGroup group() { return exchange_->with(world_); }
  /// That of ranks that are connected directly (NCCL), also for one; empty where this build has none.
  std::unique_ptr<Collective> connected() const;
  /// Until the device has done all that it was given.
  void wait() const;
  /// The most device memory held at once since the last call [bytes]; nothing where LibTorch does not count.
  std::optional<std::uint64_t> take_peak_bytes() const;

 private:
  Communicator& world_;
  at::Device device_;
  std::optional<TensorGroup> exchange_;
};

}  // namespace dwgf::gpu
