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

LatentDistribution IdentityCodec::encode(const at::Tensor& x) const {
  return {x, at::zeros_like(x)};
}

}  // namespace dwgf
