#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/prior.hpp>

namespace dwgf {

at::Tensor guided(const Conditioning& conditioning,
                  const std::function<at::Tensor(const Conditioning&)>& noise) {
  const at::Tensor conditional = noise(conditioning);
  if (conditioning.guidance == 1.0) return conditional;
  if (!conditioning.unconditional) throw InternalError("prior: guidance needs an unconditional conditioning");
  const at::Tensor unconditional = noise(*conditioning.unconditional);
  return unconditional + conditioning.guidance * (conditional - unconditional);
}

at::Tensor Denoiser::clean(const at::Tensor& z_t, const Level& level,
                           const Conditioning& conditioning) const {
  if (!(level.signal > 0.0)) throw InternalError("prior: this denoiser sees no clean latent in noise alone");
  return (z_t - level.noise * noise(z_t, level, conditioning)) / level.signal;
}

LatentDistribution IdentityCodec::encode(const at::Tensor& x) const {
  return {x, at::zeros_like(x)};
}

}  // namespace dwgf
