/// A generative prior over images, as the flow uses it: a noise path, a denoiser in a latent space, and a
/// codec between latents and images. A prior is a value of shared parts; a copy with one part replaced is a
/// prior too (fp32_retry.hpp and oom_guard.hpp wrap single parts). Adding a prior:
/// families/known_families.hpp.
///
/// Shapes: B samples a call, images [B, C, H, W] on [-1, 1], latents [B, c, h, w]; which sizes belong
/// together, geometry.hpp says. Latents are always on the denoiser's scale (Stable Diffusion: the
/// autoencoder's latents times `scaling_factor`). Networks may work in another precision than the tensors
/// they are given; the results are of the tensors' own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/codec.hpp>
#include <dwgf/prior/conditioner.hpp>
#include <dwgf/prior/denoiser.hpp>
#include <dwgf/prior/few_steps.hpp>
#include <dwgf/prior/geometry.hpp>
#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

/// Counts the calls whose result was not finite at the precision asked for and that were computed again in
/// float32.
class Fp32Retries {
 public:
  void add() { ++total_; }
  std::int64_t total() const { return total_; }

 private:
  std::int64_t total_ = 0;
};

class PriorMoments;
struct WindowNetworks;

struct Prior {
  std::shared_ptr<const NoisePath> path;
  std::shared_ptr<const Denoiser> denoiser;
  std::shared_ptr<const Codec> codec;
  /// The prior's own, where a smaller one takes its place as `codec` and both are wanted: between the same
  /// latents and images.
  std::shared_ptr<const Codec> full_codec = {};
  PriorGeometry geometry;
  at::TensorOptions options;  ///< the type and device of every tensor taken and returned
  std::string sha256;         ///< of the weights, lower-case hexadecimal: part of a result's identity
  /// Of images that the conditioner was not asked of.
  Conditioning conditioning = {};
  std::shared_ptr<const Conditioner> conditioner = {};  ///< null: all images are told the same
  std::optional<FewSteps> few_steps = {};               ///< where it was distilled to few
  std::shared_ptr<const PriorMoments> moments = {};     ///< where they were measured (prior/moments.hpp)
  /// Where larger images are covered by windows (prior/windows.hpp): what sees one of them.
  std::shared_ptr<const WindowNetworks> windows = {};

  /// What of the prior's files is allowed but probably not meant, one sentence each.
  std::vector<std::string> warnings = {};
  /// Looks for more of that by a call of the denoiser; may be empty.
  std::function<std::optional<std::string>()> probe = {};
  /// The memory that one step of the flow takes beside the weights, at its peak, for B samples of latents
  /// [B, c, h, w]: an estimate, in bytes, for the CPU. Empty where none can be given.
  std::function<std::uint64_t(std::int64_t batch, std::int64_t height, std::int64_t width)> step_bytes = {};
  std::shared_ptr<Fp32Retries> retries = std::make_shared<Fp32Retries>();

  at::Tensor noise(const at::Tensor& z_t, const Level& level) const {
    return denoiser->noise(z_t, level, conditioning);
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level) const {
    return denoiser->noise_vjp(z_t, level, conditioning);
  }
  at::Tensor clean(const at::Tensor& z_t, const Level& level) const {
    return denoiser->clean(z_t, level, conditioning);
  }
};

}  // namespace dwgf
