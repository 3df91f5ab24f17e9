#include "prior/models/velocity_denoiser.hpp"

#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "prior/models/unet_denoiser.hpp"
#include "prior/nn/autograd_vjp.hpp"

namespace dwgf {

VelocityDenoiser::VelocityDenoiser(std::shared_ptr<const JointTransformer> network,
                                   const JointTransformerConfig& config, const at::TensorOptions& tensors,
                                   NetworkPrecision precision)
    : network_(std::move(network)), config_(config), tensors_(tensors), precision_(precision) {}

void VelocityDenoiser::check(const at::Tensor& z_t, const Level& level, const Conditioning& given) const {
  require_samples(z_t, config_.latent_channels, tensors_, "latents");
  if (z_t.size(2) % config_.patch != 0 || z_t.size(3) % config_.patch != 0)
    throw InternalError("prior: a latent of {} is not made of patches of {}", z_t.sizes(), config_.patch);
  if (!(level.noise > 0.0)) throw InternalError("prior: a network is asked at a level without noise");
  const auto fits = [](const at::Tensor& tensor, std::int64_t dimensions, std::int64_t channels) {
    return tensor.defined() && tensor.dim() == dimensions && tensor.size(0) == 1 &&
           tensor.size(-1) == channels;
  };
  if (!fits(given.tokens, 3, config_.context_channels) || !fits(given.pooled, 2, config_.pooled_channels) ||
      given.sizes.defined())
    throw InternalError("prior: the conditioning is not what this transformer takes");
}

at::Tensor VelocityDenoiser::velocity(const at::Tensor& z_t, const Level& level,
                                      const Conditioning& given) const {
  return guided(z_t, given, [&](const at::Tensor& z, const Conditioning& one) {
    return network_
        ->forward(z.to(precision_.type), level.time, one.tokens.to(precision_.type),
                  one.pooled.to(precision_.type))
        .to(z_t.scalar_type());  // [B or 2 B, c, h, w]
  });
}

at::Tensor VelocityDenoiser::noise(const at::Tensor& z_t, const Level& level,
                                   const Conditioning& given) const {
  check(z_t, level, given);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  return at::add(z_t, velocity(z_t, level, given), level.signal);
}

Vjp VelocityDenoiser::noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const {
  check(z_t, level, given);
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  Vjp result = autograd_vjp(
      [&](const at::Tensor& z) { return at::add(z, velocity(z, level, given), level.signal); }, z_t);
  return {result.value, pull_in(precision_, tensors_.device(), std::move(result.pull))};
}

at::Tensor VelocityDenoiser::clean(const at::Tensor& z_t, const Level& level,
                                   const Conditioning& given) const {
  check(z_t, level, given);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  return at::sub(z_t, velocity(z_t, level, given), level.noise);
}

}  // namespace dwgf
