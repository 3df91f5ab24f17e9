/// A transformer of flow matching as a denoiser. It predicts the velocity v = eps - z_0 of z_t = a z_0 + s
/// eps, a + s = 1, so that
///
///   eps_theta = z_t + a v,   z_0 = z_t - s v
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/denoiser.hpp>

#include "prior/models/joint_transformer.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

class VelocityDenoiser final : public Denoiser {
 public:
  /// `tensors`: type and device of what is taken and returned. @pre `network` was built from `config`
  VelocityDenoiser(std::shared_ptr<const JointTransformer> network, const JointTransformerConfig& config,
                   const at::TensorOptions& tensors, NetworkPrecision precision);

  /// As Denoiser has it. @pre z_t [B, c, h, w] of the prior's type and device, h and w multiples of the
  /// patch, level.noise > 0, and conditioning with tokens [1, T, context_channels] and pooled [1,
  /// pooled_channels]. Throws InternalError for any other.
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;
  at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;

 private:
  void check(const at::Tensor& z_t, const Level& level, const Conditioning& given) const;
  /// v, in the type of z_t.
  at::Tensor velocity(const at::Tensor& z_t, const Level& level, const Conditioning& given) const;

  std::shared_ptr<const JointTransformer> network_;
  JointTransformerConfig config_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
};

}  // namespace dwgf
