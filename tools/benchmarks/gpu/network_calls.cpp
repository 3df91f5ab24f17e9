#include "gpu/network_calls.hpp"

#include <stdexcept>

#include <ATen/ATen.h>

#include "flow/draws.hpp"

namespace dwgf::gpu {
namespace {

at::Tensor addressed(const Prior& prior, std::int64_t samples, std::int64_t channels, std::int64_t edge,
                     std::uint32_t stream) {
  const at::Tensor like = at::empty({samples, channels, edge, edge}, at::kFloat);
  return normals_like(like, {.seed = 3, .step = stream}).to(prior.options);
}

}  // namespace

PriorOptions prior_options(const std::string& precision, const at::Device& device) {
  PriorOptions options{.device = device};
  if (precision == "tf32") {
    options.unet_tf32 = options.autoencoder_tf32 = true;
  } else if (precision == "bf16") {
    options.unet_type = options.autoencoder_type = at::kBFloat16;
  } else if (precision == "fp16") {
    options.unet_type = options.autoencoder_type = at::kHalf;
  } else if (precision != "fp32") {
    throw std::invalid_argument("precision '" + precision + "' is none of fp32, tf32, bf16, fp16");
  }
  return options;
}

NetworkInputs::NetworkInputs(const Prior& prior, std::int64_t edge, std::int64_t samples)
    : z(addressed(prior, samples, prior.geometry.latent_channels, edge / prior.geometry.factor, 1)),
      x(0.4 * addressed(prior, samples, prior.geometry.image_channels, edge, 2)),
      cotangent(addressed(prior, samples, prior.geometry.image_channels, edge, 3)),
      level(prior.path->levels(40)[20]) {}

NetworkResults::NetworkResults(const Prior& prior, const NetworkInputs& in)
    : noise(prior.noise(in.z, in.level)),
      decoded(prior.codec->decode(in.z)),
      pulled(pulled_back(prior, in)),
      mean(prior.codec->encode(in.x).mean) {}

at::Tensor pulled_back(const Prior& prior, const NetworkInputs& in) {
  return prior.codec->decode_vjp(in.z).pull(in.cotangent);
}

}  // namespace dwgf::gpu
