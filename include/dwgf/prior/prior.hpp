/// What the flow needs from a generative prior over images: a denoiser in a latent space and a codec between
/// latents and images. Adding a prior means one implementation here and one line in the factory.
///
/// Shapes: B samples a call, images [B, C, H, W] on [-1, 1], latents [B, c, h, w]; which sizes belong
/// together, geometry.hpp says. Latents are always on the denoiser's scale (Stable Diffusion: the
/// autoencoder's latents times `scaling_factor`). Every call is pure: the result depends on the arguments
/// alone, and no call needs or leaves an autograd graph. Networks may work in another precision than the
/// tensors they are given; the results are of the tensors' own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/geometry.hpp>
#include <dwgf/prior/schedule.hpp>

namespace dwgf {

/// A Gaussian with diagonal covariance over latents, [B, c, h, w] each.
struct LatentDistribution {
  at::Tensor mean;
  at::Tensor std;
};

/// A decoded image together with the pull-back of cotangents through the decoder at that latent. One forward
/// pass serves both; `pull_back` may be called once.
struct DecodedImage {
  at::Tensor x;  ///< [B, C, H, W], detached
  std::function<at::Tensor(const at::Tensor& cotangent)>
      pull_back;  ///< [B, C, H, W] -> J_D(z)^T cotangent [B, c, h, w]
};

/// The noise a denoiser sees, together with the pull-back of cotangents through the denoiser at that latent,
/// as DecodedImage has it.
struct PredictedNoise {
  at::Tensor noise;  ///< [B, c, h, w], detached
  std::function<at::Tensor(const at::Tensor& cotangent)>
      pull_back;  ///< [B, c, h, w] -> (d eps_theta / d z_t)^T cotangent [B, c, h, w]
};

/// The mean of the encoder's posterior together with the pull-back of cotangents through the encoder at that
/// image, as DecodedImage has it.
struct EncodedImage {
  at::Tensor mean;  ///< [B, c, h, w], detached
  std::function<at::Tensor(const at::Tensor& cotangent)>
      pull_back;  ///< [B, c, h, w] -> J_E(x)^T cotangent [B, C, H, W]
};

class Prior {
 public:
  virtual ~Prior() = default;

  virtual const PriorGeometry& geometry() const = 0;
  virtual const NoiseSchedule& schedule() const = 0;
  /// SHA-256 of the weights, lower-case hexadecimal: part of a result's identity.
  virtual const std::string& sha256() const = 0;
  /// The type and device of every tensor taken and returned.
  virtual at::TensorOptions options() const = 0;

  /// What of the prior's files is allowed but probably not meant, one sentence each. May take a network call.
  virtual std::vector<std::string> warnings() const { return {}; }
  /// How many calls so far were computed again at a higher precision, because their result was not finite at
  /// the one asked for.
  virtual std::int64_t calls_redone() const { return 0; }
  /// The memory that one step of the flow takes beside the weights, at its peak, for B samples of latents
  /// [B, c, h, w]: an estimate, in bytes, for the CPU. Nothing where none can be given.
  virtual std::optional<std::uint64_t> step_bytes(std::int64_t batch, std::int64_t latent_height,
                                                  std::int64_t latent_width) const {
    return std::nullopt;
  }

  /// eps_theta(z_t, t) [B, c, h, w]: the noise the denoiser sees in z_t, whatever it was trained to predict
  /// (v-prediction: eps = a v + s z_t). @pre 0 <= time < schedule().train_steps()
  virtual at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const = 0;
  virtual PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const = 0;

  /// D(z) [B, C, H, W]
  virtual at::Tensor decode(const at::Tensor& z) const = 0;
  virtual DecodedImage decode_with_pull_back(const at::Tensor& z) const = 0;

  /// The encoder's posterior over latents of x.
  virtual LatentDistribution encode(const at::Tensor& x) const = 0;
  virtual EncodedImage encode_with_pull_back(const at::Tensor& x) const = 0;
};

}  // namespace dwgf
