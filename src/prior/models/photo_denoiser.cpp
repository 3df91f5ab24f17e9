#include "prior/models/photo_denoiser.hpp"

#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "prior/models/unet_denoiser.hpp"
#include "prior/nn/autograd_vjp.hpp"

namespace dwgf {

PhotoDenoiser::PhotoDenoiser(std::shared_ptr<const PhotoUNet> unet, const PhotoUNetConfig& config,
                             const at::TensorOptions& tensors, NetworkPrecision precision)
    : unet_(std::move(unet)), config_(config), tensors_(tensors), precision_(precision) {}

void PhotoDenoiser::check(const at::Tensor& z_t, const Level& level) const {
  require_samples(z_t, config_.image_channels, tensors_, "latents");
  if (z_t.size(2) % config_.multiple() != 0 || z_t.size(3) % config_.multiple() != 0)
    throw InternalError("prior: a latent of {} is not made of squares of {}", z_t.sizes(),
                        config_.multiple());
  if (!(level.noise > 0.0) || !(level.signal > 0.0))
    throw InternalError("prior: a U-Net is asked at a level without noise or without signal");
}

at::Tensor PhotoDenoiser::velocity(const at::Tensor& z_t, const Level& level) const {
  return unet_->forward(z_t.to(precision_.type), log_ratio(level)).to(z_t.scalar_type());
}

at::Tensor PhotoDenoiser::noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const {
  check(z_t, level);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  return velocity(z_t, level).mul(level.signal).add(z_t, level.noise);
}

Vjp PhotoDenoiser::noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning&) const {
  check(z_t, level);
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  Vjp result = autograd_vjp(
      [&](const at::Tensor& z) { return velocity(z, level).mul(level.signal).add(z, level.noise); }, z_t);
  return {result.value, pull_in(precision_, tensors_.device(), std::move(result.pull))};
}

at::Tensor PhotoDenoiser::clean(const at::Tensor& z_t, const Level& level, const Conditioning&) const {
  check(z_t, level);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  return velocity(z_t, level).mul(-level.noise).add(z_t, level.signal);
}

}  // namespace dwgf
