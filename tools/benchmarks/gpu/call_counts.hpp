/// Operator calls of LibTorch on this thread, and calls for which the host waits for the device.
#pragma once

#include <cstdint>

#include <ATen/record_function.h>

namespace dwgf::gpu {

/// Counts while it lives. One lives at a time.
class CallCounts {
 public:
  CallCounts();
  ~CallCounts();
  CallCounts(const CallCounts&) = delete;
  CallCounts& operator=(const CallCounts&) = delete;

  /// Calls that made no further ones: about the kernels, and the views, which start none.
  std::int64_t operators() const;
  /// Copies from a device to the host, and numbers asked for.
  std::int64_t waits() const;

 private:
  at::CallbackHandle handle_;
};

}  // namespace dwgf::gpu
