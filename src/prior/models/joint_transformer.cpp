#include "prior/models/joint_transformer.hpp"

#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kTimeChannels = 256;

struct Group : torch::nn::Module {};

/// Of G prompts: of every sample, where there is more than one.
at::Tensor for_samples(const at::Tensor& prompts, std::int64_t samples) {
  const std::int64_t count = prompts.size(0);
  return count == 1 ? prompts : prompts.repeat_interleave(samples / count, 0);
}

}  // namespace

JointTransformer::JointTransformer(const JointTransformerConfig& config, const at::TensorOptions& options)
    : config_(config), options_(options) {
  const std::int64_t channels = config.channels(), patch = config.patch;
  const auto place = register_module("pos_embed", std::make_shared<Group>());
  const auto patches = place->register_module("proj", std::make_shared<Group>());
  patch_weight_ = patches->register_parameter(
      "weight", at::empty({channels, config.latent_channels, patch, patch}, options), false);
  patch_bias_ = patches->register_parameter("bias", at::empty({channels}, options), false);
  position_embedding_ = place->register_parameter(
      "pos_embed", at::empty({1, config.positions * config.positions, channels}, options), false);

  const auto embedders = register_module("time_text_embed", std::make_shared<Group>());
  const auto linears = [&](const char* name, std::int64_t in, auto& first, auto& second) {
    const auto embedder = embedders->register_module(name, std::make_shared<Group>());
    first = embedder->register_module("linear_1", std::make_shared<Linear>(in, channels, true, options));
    second =
        embedder->register_module("linear_2", std::make_shared<Linear>(channels, channels, true, options));
  };
  linears("timestep_embedder", kTimeChannels, time_linear1_, time_linear2_);
  linears("text_embedder", config.pooled_channels, pooled_linear1_, pooled_linear2_);
  context_embedder_ = register_module(
      "context_embedder", std::make_shared<Linear>(config.context_channels, channels, true, options));

  blocks_ = register_module("transformer_blocks", std::make_shared<ModuleVector<JointBlock>>());
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const JointBlock::Options block{
        .attention = {.channels = channels, .heads = config.heads, .norm = config.norm_of_queries_and_keys},
        .dual = config.is_dual(i),
        .last = i + 1 == config.layers};
    blocks_->add(std::make_shared<JointBlock>(block, options));
  }
  norm_out_ = register_module("norm_out", std::make_shared<Modulation>(channels, 2, options));
  proj_out_ = register_module(
      "proj_out", std::make_shared<Linear>(channels, patch * patch * config.latent_channels, true, options));

  // 10000^(-i / half), operation by operation as diffusers' get_timestep_embedding.
  constexpr std::int64_t half = kTimeChannels / 2;
  const at::Tensor exponent = at::arange(half, at::TensorOptions(at::kFloat)).mul(-std::log(10000.0));
  frequencies_ = exponent.div(half).exp().unsqueeze(0);  // [1, half]
  if (!options.device().is_meta()) frequencies_ = frequencies_.to(options.device());
}

/// Of time and prompts together, [G, C].
at::Tensor JointTransformer::embedding(double time, const at::Tensor& pooled) const {
  const at::Tensor phase = frequencies_ * time;  // [1, half] float32
  const at::Tensor wave = at::cat({phase.cos(), phase.sin()}, 1).to(options_.dtype());
  const at::Tensor of_time = time_linear2_->forward(activate(time_linear1_->forward(wave)));
  const at::Tensor of_prompt = pooled_linear2_->forward(activate(pooled_linear1_->forward(pooled)));
  return of_time + of_prompt;
}

/// A convolution whose kernels do not overlap, [B, L, C].
at::Tensor JointTransformer::patches(const at::Tensor& z_t) const {
  const std::int64_t patch = config_.patch, rows = z_t.size(2) / patch, columns = z_t.size(3) / patch;
  const at::Tensor cut = z_t.reshape({z_t.size(0), z_t.size(1), rows, patch, columns, patch})
                             .permute({0, 2, 4, 1, 3, 5})
                             .reshape({z_t.size(0), rows * columns, -1});  // [B, L, c patch^2]
  return at::linear(cut, patch_weight_.flatten(1), patch_bias_);
}

/// The middle of the table, [1, rows * columns, C].
at::Tensor JointTransformer::positions(std::int64_t rows, std::int64_t columns) const {
  const std::int64_t all = config_.positions;
  if (rows > all || columns > all) {
    throw DataError("prior: a latent of {} x {}, but this network has positions for {} x {} at most",
                    rows * config_.patch, columns * config_.patch, all * config_.patch, all * config_.patch);
  }
  return position_embedding_.view({all, all, -1})
      .narrow(0, (all - rows) / 2, rows)
      .narrow(1, (all - columns) / 2, columns)
      .reshape({1, rows * columns, -1});
}

at::Tensor JointTransformer::forward(const at::Tensor& z_t, double time, const at::Tensor& context,
                                     const at::Tensor& pooled) const {
  const std::int64_t samples = z_t.size(0), patch = config_.patch;
  const std::int64_t rows = z_t.size(2) / patch, columns = z_t.size(3) / patch;
  const at::Tensor activated = for_samples(activate(embedding(time, pooled)), samples);  // [1 or B, C]
  JointTokens tokens{patches(z_t) + positions(rows, columns),
                     for_samples(context_embedder_->forward(context), samples)};
  for (std::size_t i = 0; i < blocks_->size(); ++i) tokens = (*blocks_)[i].forward(tokens, activated);
  const auto by = norm_out_->forward(activated);                                     // scale, shift
  const at::Tensor out = proj_out_->forward(modulated(tokens.image, by[0], by[1]));  // [B, L, patch^2 c]
  return out.view({samples, rows, columns, patch, patch, config_.latent_channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({samples, config_.latent_channels, rows * patch, columns * patch});
}

}  // namespace dwgf
