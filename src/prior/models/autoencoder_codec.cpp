#include "prior/models/autoencoder_codec.hpp"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <dwgf/base/error.hpp>

#include "prior/models/decoder_vjp.hpp"
#include "prior/models/unet_denoiser.hpp"
#include "prior/nn/autograd_vjp.hpp"

namespace dwgf {

std::uint64_t plain_gradient_limit(const at::Device& device) {
  if (device.is_cpu() || device.is_meta()) return kPlainGradientBytes;
  auto* const allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (!allocator || !allocator->initialized()) return kPlainGradientBytes;
  try {
    const std::uint64_t free = allocator->getMemoryInfo(device.index()).first;
    return std::max(kPlainGradientBytes, free / 2);
  } catch (const c10::Error&) {  // not every allocator says
    return kPlainGradientBytes;
  }
}

AutoencoderCodec::AutoencoderCodec(std::shared_ptr<const CodecNetwork> network, const CodecScale& scale,
                                   const at::TensorOptions& tensors, NetworkPrecision precision,
                                   GradientChoice gradient)
    : network_(std::move(network)),
      scale_(scale),
      tensors_(tensors),
      precision_(precision),
      gradient_(std::move(gradient)) {}

at::Tensor AutoencoderCodec::to_network(const at::Tensor& z) const {
  require_samples(z, scale_.latent_channels, tensors_, "latents");
  const at::Tensor scaled = z / scale_.scaling_factor;
  return (scale_.shift_factor == 0.0 ? scaled : scaled + scale_.shift_factor).to(precision_.type);
}

at::Tensor AutoencoderCodec::decode(const at::Tensor& z) const {
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  return network_->decode(to_network(z)).to(z.scalar_type());
}

Vjp AutoencoderCodec::decode_vjp(const at::Tensor& z) const {
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  const at::Tensor own = to_network(z.detach());  // [B, c, h, w]
  const CallSize size{z.size(0), z.size(2), z.size(3), c10::elementSize(precision_.type)};
  Vjp decoded = decoder_vjp(network_->decoder_stages(), own, gradient_(size));
  const auto to_latents = [type = z.scalar_type(), network = precision_.type, scale = scale_.scaling_factor,
                           pull = std::move(decoded.pull)](const at::Tensor& cotangent) {
    return pull(cotangent.to(network)).to(type) / scale;
  };
  return {decoded.value.to(z.scalar_type()), pull_in(precision_, tensors_.device(), to_latents)};
}

void AutoencoderCodec::check_images(const at::Tensor& x) const {
  require_samples(x, scale_.image_channels, tensors_, "images");
  const std::int64_t factor = scale_.factor;
  if (x.size(2) % factor != 0 || x.size(3) % factor != 0) {
    throw DataError(
        "prior: an image of {} x {} pixels; this prior takes multiples of {} in both directions: crop or pad "
        "it",
        x.size(2), x.size(3), factor);
  }
}

LatentDistribution AutoencoderCodec::encode(const at::Tensor& x) const {
  check_images(x);
  const at::NoGradGuard no_grad;
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  auto [mean, log_variance] = network_->encode(x.to(precision_.type));  // [B, c, h, w] each
  const double scale = scale_.scaling_factor;
  mean = (mean.to(x.scalar_type()) - scale_.shift_factor).mul_(scale);
  if (!log_variance.defined()) return {mean, at::zeros_like(mean)};
  return {mean, log_variance.to(x.scalar_type()).mul_(0.5).exp_().mul_(scale)};
}

Vjp AutoencoderCodec::encode_vjp(const at::Tensor& x) const {
  check_images(x);
  const ScopedTf32 multiplication(precision_.tf32, tensors_.device());
  Vjp encoded = autograd_vjp(
      [&](const at::Tensor& image) {
        const at::Tensor own = network_->encode(image.to(precision_.type)).mean;  // [B, c, h, w]
        return (own.to(image.scalar_type()) - scale_.shift_factor) * scale_.scaling_factor;
      },
      x);
  return {encoded.value, pull_in(precision_, tensors_.device(), std::move(encoded.pull))};
}

}  // namespace dwgf
