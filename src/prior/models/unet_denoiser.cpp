#include "prior/models/unet_denoiser.hpp"

#include <utility>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

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
                           NetworkPrecision precision, std::int64_t factor)
    : unet_(std::move(unet)),
      config_(config),
      factor_(factor),
      prediction_(prediction),
      tensors_(tensors),
      precision_(precision) {}

void UNetDenoiser::check(const at::Tensor& z_t, const Level& level, const Conditioning& given) const {
  require_samples(z_t, config_.latent_channels, tensors_, "latents");
  if (!(level.noise > 0.0)) throw InternalError("prior: a U-Net is asked at a level without noise");
  const auto fits = [](const at::Tensor& tensor, std::int64_t dimensions, std::int64_t channels) {
    if (channels == 0) return !tensor.defined();
    return tensor.defined() && tensor.dim() == dimensions && tensor.size(0) == 1 &&
           tensor.size(-1) == channels;
  };
  const bool sizes = !given.sizes.defined() || fits(given.sizes, 2, config_.size_channels > 0 ? kSizes : 0);
  if (!fits(given.tokens, 3, config_.context_channels) || !fits(given.pooled, 2, config_.pooled_channels) ||
      !sizes)
    throw InternalError("prior: the conditioning is not what this U-Net takes");
}

/// With the sizes of the image that z_t belongs to, where others are not given.
Conditioning UNetDenoiser::told(const Conditioning& given, const at::Tensor& z_t) const {
  Conditioning all = given;
  if (config_.size_channels > 0 && !given.sizes.defined()) {
    const double height = static_cast<double>(factor_ * z_t.size(2));
    const double width = static_cast<double>(factor_ * z_t.size(3));
    all.sizes = at::tensor({height, width, 0.0, 0.0, height, width}, at::kFloat)
                    .unsqueeze(0)
                    .to(z_t.device());  // [1, kSizes]
  }
  if (given.unconditional)
    all.unconditional = std::make_shared<Conditioning>(told(*given.unconditional, z_t));
  return all;
}

/// The same tensor for the same tokens, so that what is made of them can be kept too.
at::Tensor UNetDenoiser::tokens_in_type(const at::Tensor& tokens) const {
  if (!tokens.defined() || tokens.scalar_type() == precision_.type) return tokens;
  if (!last_tokens_.defined() || !last_tokens_.is_same(tokens)) {
    const c10::InferenceMode recording(false);  // it lives longer than a caller's inference mode
    const at::NoGradGuard no_grad;
    last_tokens_ = tokens;
    last_in_type_ = tokens.to(precision_.type);
  }
  return last_in_type_;
}

at::Tensor UNetDenoiser::noise_from_prediction(const at::Tensor& z_t, const Level& level,
                                               const Conditioning& given) const {
  const auto in_type = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(precision_.type) : tensor;
  };
  const auto predict = [&](const at::Tensor& z, const Conditioning& one) {
    return unet_
        ->forward(in_type(z), level.time,
                  {.tokens = tokens_in_type(one.tokens),
                   .pooled = in_type(one.pooled),
                   .sizes = one.sizes,
                   .guidance = one.guidance})
        .to(z_t.scalar_type());  // [B, c, h, w]
  };
  const Conditioning all = told(given, z_t);
  const at::Tensor prediction = config_.guidance_channels > 0 ? predict(z_t, all) : guided(z_t, all, predict);
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
