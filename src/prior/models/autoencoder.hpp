/// The autoencoder of Stable Diffusion, diffusers' AutoencoderKL: arXiv 2112.10752, section 3.1;
/// https://github.com/huggingface/diffusers (models/autoencoders/autoencoder_kl.py and vae.py, 0.42.1).
/// Latents here are on the autoencoder's own scale.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/differentiate.hpp"
#include "prior/models/model_config.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class AutoencoderEncoder;
class AutoencoderDecoder;

/// A configuration together with the parts to build.
struct AutoencoderParts {
  AutoencoderConfig config;
  bool encoder = true;
};

class Autoencoder : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model.
  Autoencoder(const AutoencoderParts& parts, const at::TensorOptions& options);

  /// z [B, c, h, w] -> image [B, C, H, W].
  at::Tensor decode(const at::Tensor& z) const;

  /// decode as a chain, z -> stages[0] -> ... -> image: each a block of its own, its result fresh memory.
  /// Without a gradient: pull-backs are the blocks' own.
  struct DecoderStages {
    struct Stage {
      std::function<at::Tensor(const at::Tensor&, const Normaliser&)> forward;
      std::function<Differentiated(const at::Tensor&, const Normaliser&)> differentiated;
    };
    std::vector<Stage> all;
    /// The first so many act on the latents' grid and mix all its positions (attention); they use no
    /// normaliser. Those after them see a neighbourhood only, but for their norms.
    std::size_t coarse = 0;
    /// How far, in positions of the latents' grid, an image point can see behind the coarse stages.
    std::int64_t reach = 0;
    std::int64_t factor = 1;  ///< H / h
  };
  const DecoderStages& decoder_stages() const { return stages_; }

  /// Mean and log-variance (clamped to [-30, 20]) of the posterior of x [B, C, H, W], [B, c, h, w] each.
  /// @pre built with its encoder; H and W are multiples of the factor.
  struct Moments {
    at::Tensor mean, log_variance;
  };
  Moments encode(const at::Tensor& x) const;

 private:
  std::shared_ptr<AutoencoderEncoder> encoder_;
  std::shared_ptr<AutoencoderDecoder> decoder_;
  std::shared_ptr<Convolution> quant_conv_, post_quant_conv_;
  DecoderStages stages_;
};

/// Stored name -> parameter, accepting the attention's old names (query, key, value, proj_attn) beside the
/// new ones (to_q, to_k, to_v, to_out.0), and leaving the encoder out where it is not built.
std::optional<std::string> autoencoder_parameter(const std::string& stored_name, bool encoder);

}  // namespace dwgf
