/// The network of Stable Diffusion 3 and 3.5, diffusers' SD3Transformer2DModel (Esser et al., arXiv
/// 2403.03206, section 4; https://github.com/huggingface/diffusers, models/transformers/transformer_sd3.py,
/// 0.42.1): patches of a latent and the tokens of a prompt through blocks of joint attention.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/models/joint_transformer_config.hpp"
#include "prior/nn/joint_blocks.hpp"
#include "prior/nn/layers.hpp"

namespace dwgf {

class JointTransformer : public torch::nn::Module {
 public:
  /// Parameters are uninitialised, see load_model. @pre `config` satisfies what
  /// read_joint_transformer_config guarantees.
  JointTransformer(const JointTransformerConfig& config, const at::TensorOptions& options);

  /// What the network predicts, the velocity eps - z_0, of z_t [B, c, h, w] at one time for all samples, with
  /// the embeddings of G prompts, [G, T, context_channels] and [G, pooled_channels], each of B / G samples in
  /// a row -> [B, c, h, w]. @pre G divides B; h and w are multiples of `patch`, of `positions` patches at
  /// most: DataError for larger ones
  at::Tensor forward(const at::Tensor& z_t, double time, const at::Tensor& context,
                     const at::Tensor& pooled) const;

 private:
  at::Tensor embedding(double time, const at::Tensor& pooled) const;
  at::Tensor patches(const at::Tensor& z_t) const;
  at::Tensor positions(std::int64_t rows, std::int64_t columns) const;

  JointTransformerConfig config_;
  at::TensorOptions options_;
  at::Tensor frequencies_;         // [1, 128] float32
  at::Tensor patch_weight_;        // [C, c, patch, patch]
  at::Tensor patch_bias_;          // [C]
  at::Tensor position_embedding_;  // [1, positions^2, C]

  std::shared_ptr<Linear> time_linear1_, time_linear2_, pooled_linear1_, pooled_linear2_;
  std::shared_ptr<Linear> context_embedder_, proj_out_;
  std::shared_ptr<ModuleVector<JointBlock>> blocks_;
  std::shared_ptr<Modulation> norm_out_;
};

}  // namespace dwgf
