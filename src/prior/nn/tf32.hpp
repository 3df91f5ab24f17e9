/// Whether GPUs may round float32 factors to TF32 (10 bits of mantissa) before they multiply. LibTorch keeps
/// that in global switches, some of which are on by default: each network sets them for its own calls.
/// Private to the prior layer.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace dwgf {

class ScopedTf32 {
 public:
  /// Does nothing on a CPU.
  ScopedTf32(bool allowed, at::Device device);
  ~ScopedTf32();
  ScopedTf32(const ScopedTf32&) = delete;
  ScopedTf32& operator=(const ScopedTf32&) = delete;

 private:
  bool active_, convolutions_ = false, matrices_ = false;
};

/// `pull_back` within such a scope.
std::function<at::Tensor(const at::Tensor&)> in_tf32(std::function<at::Tensor(const at::Tensor&)> pull_back,
                                                     bool allowed, at::Device device);

}  // namespace dwgf
