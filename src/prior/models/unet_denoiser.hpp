/// A U-Net as a denoiser, whatever it was trained to predict.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/denoiser.hpp>

#include "prior/models/unet.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

class UNetDenoiser final : public Denoiser {
 public:
  /// `tensors`: type and device of what is taken and returned; `factor`: pixels of an image along one of its
  /// latent. @pre `unet` was built from `config`
  UNetDenoiser(std::shared_ptr<const UNet> unet, const UNetConfig& config, PredictionType prediction,
               const at::TensorOptions& tensors, NetworkPrecision precision, std::int64_t factor = 1);

  /// As Denoiser has it. @pre z_t [B, c, h, w] of the prior's type and device, level.noise > 0, and
  /// conditioning with tokens [1, tokens, context_channels], pooled [1, pooled_channels] and sizes [1,
  /// kSizes] where the network takes each, and undefined where it does not; sizes that are undefined are
  /// those of the latent's image, not cropped. Guidance is one call of the network over both conditionings;
  /// one of guidance_channels is told the guidance instead. Throws InternalError for any other.
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override;

 private:
  void check(const at::Tensor& z_t, const Level& level, const Conditioning& given) const;
  Conditioning told(const Conditioning& given, const at::Tensor& z_t) const;
  at::Tensor tokens_in_type(const at::Tensor& tokens) const;
  at::Tensor noise_from_prediction(const at::Tensor& z_t, const Level& level,
                                   const Conditioning& given) const;

  std::shared_ptr<const UNet> unet_;
  UNetConfig config_;
  std::int64_t factor_;
  PredictionType prediction_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
  mutable at::Tensor last_tokens_, last_in_type_;  // the same ones come at every call
};

/// Throws InternalError unless a tensor is [B, channels, height, width] of this type, on such a device;
/// `what` names it.
void require_samples(const at::Tensor& tensor, std::int64_t channels, const at::TensorOptions& tensors,
                     const char* what);

}  // namespace dwgf
