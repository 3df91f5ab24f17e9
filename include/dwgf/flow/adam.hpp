/// Adam (Kingma & Ba, arXiv 1412.6980) without weight decay, betas 0.9 and 0.999, eps 1e-8, as the published
/// flow uses it.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/state.hpp>

namespace dwgf {

class Adam {
 public:
  explicit Adam(double rate) : rate_(rate) {}

  /// Moves the batch against `gradient` [M, c, h, w] in place; `step` counts from 0.
  void move(ParticleBatch& batch, const at::Tensor& gradient, std::int64_t step) const;

 private:
  double rate_;
};

}  // namespace dwgf
