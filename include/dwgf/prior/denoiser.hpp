/// The denoiser of a prior: the noise it sees in a noised latent, and the prompt it is conditioned on.
#pragma once

#include <functional>
#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/noise_path.hpp>
#include <dwgf/prior/vjp.hpp>

namespace dwgf {

/// What a denoiser is told beside the level. Tensors that a prior has no use for are undefined.
struct Conditioning {
  at::Tensor tokens = {};  ///< the prompt's embedding, a vector a token [1, tokens, dim]
  at::Tensor pooled = {};  ///< the prompt's embedding as a whole [1, dim]
  at::Tensor sizes = {};   ///< the image's size and crop, as the model was trained to be told them [1, n]
  /// g of classifier-free guidance (arXiv 2207.12598): the noise is eps_u + g (eps_c - eps_u), eps_u that of
  /// `unconditional`. 1: eps_c, by one call. A network that was distilled with guidance is told g instead.
  double guidance = 1.0;
  std::shared_ptr<const Conditioning> unconditional = {};  ///< needed where guidance is not 1
};

class Denoiser {
 public:
  virtual ~Denoiser() = default;

  /// eps_theta(z_t, level) [B, c, h, w]: the noise seen in z_t, whatever the network was trained to predict
  /// (v-prediction: eps = a v + s z_t; of the clean latent: eps = (z_t - a z_0) / s). Pure: the result
  /// depends on the arguments alone.
  virtual at::Tensor noise(const at::Tensor& z_t, const Level& level,
                           const Conditioning& conditioning) const = 0;
  /// The same with its product (d eps_theta / d z_t)^T cotangent. It may be autograd's, whose last bits may
  /// differ from run to run on a GPU; no step of `dwgf`, `gibbs` or `affine` asks for it.
  virtual Vjp noise_vjp(const at::Tensor& z_t, const Level& level,
                        const Conditioning& conditioning) const = 0;

  /// z_0 as it is seen in z_t, (z_t - s eps_theta) / a [B, c, h, w]. A network of flow matching tells it at
  /// a = 0 too, where z_t is noise alone and eps_theta says nothing of z_0; others throw InternalError there.
  virtual at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& conditioning) const;
};

/// Classifier-free guidance by one call of `noise`, or by two where guidance is not 1. Throws InternalError
/// where the second conditioning is missing.
at::Tensor guided(const Conditioning& conditioning,
                  const std::function<at::Tensor(const Conditioning&)>& noise);
/// The same by one call of `noise` always: where guidance is not 1, of z_t twice over [2 B, c, h, w] and of
/// both conditionings in one, the unconditional first, each tensor [2, ...]. Throws InternalError too where
/// the two are not of one shape.
at::Tensor guided(const at::Tensor& z_t, const Conditioning& conditioning,
                  const std::function<at::Tensor(const at::Tensor& z_t, const Conditioning&)>& noise);

}  // namespace dwgf
