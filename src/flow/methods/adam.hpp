/// Adam (Kingma & Ba, arXiv 1412.6980) without weight decay, betas 0.9 and (unless another is given) 0.999,
/// eps 1e-8, as the published flow uses it.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/state.hpp>

namespace dwgf {

class Adam {
 public:
  explicit Adam(double rate, double second_beta = 0.999) : rate_(rate), second_beta_(second_beta) {}

  /// Moves the batch against `gradient` [M, c, h, w] in place; `step` counts from 0.
  void move(ParticleBatch& batch, const at::Tensor& gradient, std::int64_t step) const;
  /// The same for the batch's images, `gradient` [M, C, H', W'].
  void move_images(ParticleBatch& batch, const at::Tensor& gradient, std::int64_t step) const;

 private:
  void move(at::Tensor& value, at::Tensor& first_moment, at::Tensor& second_moment,
            const at::Tensor& gradient, std::int64_t step) const;

  double rate_;
  double second_beta_;
};

}  // namespace dwgf
