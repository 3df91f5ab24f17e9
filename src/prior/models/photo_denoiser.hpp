/// The U-Net of photographs as a denoiser: eps_theta = a v + s z_t, z_0 = a z_t - s v (arXiv 2202.00512,
/// appendix D).
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/denoiser.hpp>

#include "prior/models/photo_unet.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

class PhotoDenoiser final : public Denoiser {
 public:
  /// `tensors`: type and device of what is taken and returned. @pre `unet` was built from `config`
  PhotoDenoiser(std::shared_ptr<const PhotoUNet> unet, const PhotoUNetConfig& config,
                const at::TensorOptions& tensors, NetworkPrecision precision);

  /// As Denoiser has it, whatever the conditioning. @pre z_t [B, C, H, W] of the prior's type and device, H
  /// and W multiples of config.multiple(), a^2 + s^2 = 1, a and s above 0. Throws InternalError for others.
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;
  at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;

 private:
  void check(const at::Tensor& z_t, const Level& level) const;
  at::Tensor velocity(const at::Tensor& z_t, const Level& level) const;  // v, in the type of z_t

  std::shared_ptr<const PhotoUNet> unet_;
  PhotoUNetConfig config_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
};

}  // namespace dwgf
