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

at::Tensor guided(const at::Tensor& z_t, const Conditioning& conditioning,
                  const std::function<at::Tensor(const at::Tensor&, const Conditioning&)>& noise) {
  if (conditioning.guidance == 1.0) return noise(z_t, conditioning);
  if (!conditioning.unconditional) throw InternalError("prior: guidance needs an unconditional conditioning");
  const auto both = [](const at::Tensor& unconditional, const at::Tensor& conditional) {
    if (!unconditional.defined() && !conditional.defined()) return at::Tensor();
    if (!unconditional.defined() || !conditional.defined() || unconditional.sizes() != conditional.sizes())
      throw InternalError("prior: the two conditionings of a guided call are not of one shape");
    return at::cat({unconditional, conditional});
  };
  const Conditioning& other = *conditioning.unconditional;
  const Conditioning pair{.tokens = both(other.tokens, conditioning.tokens),
                          .pooled = both(other.pooled, conditioning.pooled),
                          .sizes = both(other.sizes, conditioning.sizes)};
  const auto halves = noise(at::cat({z_t, z_t}), pair).chunk(2);  // [B, c, h, w] each
  return halves[0] + conditioning.guidance * (halves[1] - halves[0]);
}

LatentDistribution IdentityCodec::encode(const at::Tensor& x) const {
  return {x, at::zeros_like(x)};
}

}  // namespace dwgf
