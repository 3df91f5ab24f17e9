/// The codec of a prior: between latents [B, c, h, w] on the denoiser's scale and images [B, C, H, W].
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/prior/vjp.hpp>

namespace dwgf {

/// A Gaussian with diagonal covariance over latents, [B, c, h, w] each.
struct LatentDistribution {
  at::Tensor mean;
  at::Tensor std;
};

/// Every function is pure: the result depends on the arguments alone.
class Codec {
 public:
  virtual ~Codec() = default;

  /// D(z) [B, C, H, W]
  virtual at::Tensor decode(const at::Tensor& z) const = 0;
  /// D(z) with J_D(z)^T cotangent.
  virtual Vjp decode_vjp(const at::Tensor& z) const = 0;
  /// The encoder's posterior over the latents of x.
  virtual LatentDistribution encode(const at::Tensor& x) const = 0;
  /// That posterior's mean with J_E(x)^T cotangent. It may be autograd's, whose last bits may differ from run
  /// to run on a GPU; no step of `dwgf`, `gibbs` or `affine` asks for it.
  virtual Vjp encode_vjp(const at::Tensor& x) const = 0;
};

/// Of priors in pixel space: latents are the images.
class IdentityCodec final : public Codec {
 public:
  at::Tensor decode(const at::Tensor& z) const override { return z; }
  Vjp decode_vjp(const at::Tensor& z) const override { return identity_vjp(z); }
  LatentDistribution encode(const at::Tensor& x) const override;
  Vjp encode_vjp(const at::Tensor& x) const override { return identity_vjp(x); }
};

}  // namespace dwgf
