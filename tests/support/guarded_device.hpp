/// A device of LibTorch for tests whose memory the host cannot touch: code for GPUs runs on a machine without
/// one, and what a GPU would punish is an error at once:
///
///   a host access to device memory       SIGSEGV (guarded_memory.hpp)
///   a host tensor among device tensors   c10::Error naming the operator and its argument; as on a GPU, a
///                                        number may stand beside tensors, and an index may lie on the host
///   a wait of the host for the device    counted, as are the operators that compute
///
/// Operators are the CPU's, over the same bytes, which are opened while one runs. So integers, element-wise
/// arithmetic and whole operators agree with the CPU to the bit where a test calls them in the same order;
/// code that asks `is_cpu()` takes its other branch here, and agrees to rounding. Not seen: streams, the
/// choice of kernels by cuDNN, determinism, speed.
///
/// Link the objects of `dwgf_guarded_device` into a program, and the device is there; nothing else changes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <c10/core/Device.h>

namespace guarded {

/// "guarded:0": LibTorch's PrivateUse1 device by its name.
c10::Device device();

/// Since the start or the last reset.
struct Counts {
  std::uint64_t operators = 0;    ///< that compute or copy on the device: kernels to be launched
  std::uint64_t views = 0;        ///< that only look, and cost a GPU nothing
  std::uint64_t syncs = 0;        ///< for which the host waits: copies to the host, item()
  std::uint64_t uploads = 0;      ///< copies from the host
  std::uint64_t allocations = 0;  ///< of device memory
  std::uint64_t peak_bytes = 0;   ///< of device memory
  std::map<std::string, std::uint64_t> operator_calls, sync_calls;  ///< by the operator's name
};
Counts counts();
void reset_counts();

/// Opens the blocks that hold these addresses while it lives: for what stands for a device's own copies and
/// exchanges. An address outside of device memory is let pass.
class Opened {
 public:
  explicit Opened(std::vector<const void*> addresses);
  ~Opened();
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  std::vector<const void*> addresses_;
};

}  // namespace guarded
