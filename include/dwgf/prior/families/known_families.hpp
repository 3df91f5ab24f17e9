/// The families of priors that can be loaded, one row each. Adding one: a source that makes its Prior, and a
/// row in src/prior/families/known_families.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// How the decoder's vector-Jacobian product is made (src/prior/models/decoder_vjp.hpp); the bits are the
/// same.
enum class DecoderGradient { plain, recompute };

/// What `plain` may take before `recompute` is chosen: an estimate is compared.
inline constexpr std::uint64_t kPlainGradientBytes = std::uint64_t{2} << 30;

/// A family ignores what it has no use for, but not a prompt.
struct PriorOptions {
  /// Of the tensors taken and returned, float or double: latents, images, gradients.
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::Device(at::kCPU);
  /// The prompt's embedding [1, tokens, dim]; undefined: of `prompt`, or one token of zeros where the
  /// directory has no text_encoder/.
  at::Tensor context = {};
  /// UTF-8; the empty prompt is one too. Not empty: a text encoder is needed, and no `context`.
  std::string prompt = {};
  /// g of classifier-free guidance (Conditioning::guidance), away from the negative prompt. 1: none.
  double guidance = 1.0;
  std::string negative_prompt = {};
  /// In which the networks compute and hold their weights; nothing: as `dtype`. Norms and attention form
  /// their sums in float32 also in half precision, and what is not finite there is computed again in `dtype`
  /// (fp32_retry.hpp).
  std::optional<at::ScalarType> unet_type = {}, autoencoder_type = {};
  bool unet_tf32 = false, autoencoder_tf32 = false;  ///< GPUs may multiply float32 as TF32
  /// Nothing: `recompute` where `plain` would take more than kPlainGradientBytes, else `plain`.
  std::optional<DecoderGradient> decoder_gradient = {};
  /// A folder with an autoencoder that takes the place of the prior's own: Prior::codec. Empty: none.
  std::string codec = {};
  bool keeps_own_codec = false;  ///< beside it, as Prior::full_codec
  /// Times at which the denoiser may be called, descending, of priors over discrete times; empty: as the
  /// scheduler's configuration says.
  std::vector<std::int64_t> times = {};
};

struct PriorFamily {
  const char* name;
  bool takes_prompt;
  /// Whether a directory or file is of this family. False where there is none; throws DataError for a
  /// configuration that cannot be read.
  bool (*recognises)(const std::string& path);
  /// Throws NotFoundError naming the file that is lacking, DataError for contents that are wrong or not
  /// supported, IoError where reading fails, InternalError where LibTorch fails (memory, device). No other
  /// exception.
  std::unique_ptr<Prior> (*load)(const std::string& path, const PriorOptions& options);
};

/// In the order in which they are asked.
std::span<const PriorFamily> known_families();

/// The first family that recognises a directory or file. Throws NotFoundError where none does.
const PriorFamily& family_of(const std::string& path,
                             std::span<const PriorFamily> families = known_families());

/// Loads a prior of any known family. Throws as PriorFamily::load does.
std::unique_ptr<Prior> load_prior(const std::string& path, const PriorOptions& options = {});

}  // namespace dwgf
