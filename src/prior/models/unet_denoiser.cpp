#include "prior/models/unet_denoiser.hpp"

#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "prior/nn/autograd_vjp.hpp"

namespace dwgf {

void require_samples(const at::Tensor& tensor, std::int64_t channels, const at::TensorOptions& tensors,
                     const char* what) {
  const bool good = tensor.defined() && tensor.dim() == 4 && tensor.size(1) == channels &&
                    tensor.numel() > 0 && tensor.scalar_type() == tensors.dtype().toScalarType() &&
                    tensor.device().type() == tensors.device().type();
  if (!good)
    throw InternalError("prior: {} must be [B, {}, height, width] in the prior's type, on its device", what,
                        channels);
}

UNetDenoiser::UNetDenoiser(std::shared_ptr<const UNet> unet, const UNetConfig& config,
                           PredictionType prediction, const at::TensorOptions& tensors,
                           NetworkPrecision precision)
    : unet_(std::move(unet)),
      latent_channels_(config.latent_channels),
      context_channels_(config.context_channels),
      is_told_guidance_(config.guidance_channels > 0),
      prediction_(prediction),
      tensors_(tensors),
      precision_(precision) {}

void UNetDenoiser::check(const at::Tensor& z_t, const Level& level, const Conditioning& given) const {
  require_samples(z_t, latent_channels_, tensors_, "latents");
  if (!(level.noise > 0.0)) throw InternalError("prior: a U-Net is asked at a level without noise");
  const bool fits = context_channels_ == 0 ? !given.tokens.defined()
                                           : given.tokens.dim() == 3 && given.tokens.size(0) == 1 &&
                                                 given.tokens.size(2) == context_channels_;
  if (!fits || given.pooled.defined() || given.sizes.defined())
    throw InternalError("prior: the conditioning is not what this U-Net takes");
}

at::Tensor UNetDenoiser::noise_from_prediction(const at::Tensor& z_t, const Level& level,
                                               const Conditioning& given) const {
  const at::Tensor in = z_t.to(precision_.type);
  const auto predicted = [&](const Conditioning& one) {
    const at::Tensor context = one.tokens.defined() ? one.tokens.to(precision_.type) : one.tokens;
    return unet_->forward(in, level.time, context, given.guidance).to(z_t.scalar_type());  // [B, c, h, w]
  };
  const at::Tensor prediction = is_told_guidance_ ? predicted(given) : guided(given, predicted);
  switch (prediction_) {
    case PredictionType::epsilon:
      return prediction;
    case PredictionType::v_prediction:
      return prediction.mul(level.signal).add(z_t, level.noise);  // arXiv 2202.00512, appendix D
    case PredictionType::sample:
      return prediction.mul(-level.signal).add(z_t).div(level.noise);
  }
  throw InternalError("prior: unknown kind of prediction");
}

at::Tensor UNetDenoiser::noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const {
  check(z_t, level, given);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  return noise_from_prediction(z_t, level, given);
}

Vjp UNetDenoiser::noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const {
  check(z_t, level, given);
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  Vjp result = autograd_vjp([&](const at::Tensor& z) { return noise_from_prediction(z, level, given); }, z_t);
  return {result.value, pull_in(precision_, tensors_.device(), std::move(result.pull))};
}

}  // namespace dwgf
