#include "prior/nn/joint_blocks.hpp"

#include <utility>

#include <ATen/ATen.h>

namespace dwgf {
namespace {

constexpr double kEps = 1e-6;

at::Tensor normed(const at::Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, kEps);
}

at::Tensor moved(const at::Tensor& normed, const at::Tensor& scale, const at::Tensor& shift) {
  return at::addcmul(shift, normed, scale + 1.0);
}

/// Of [1 or B, heads, T, d]: the same for every sample.
at::Tensor for_all(const at::Tensor& heads, std::int64_t samples) {
  return heads.expand({samples, -1, -1, -1});
}

}  // namespace

RmsNorm::RmsNorm(std::int64_t channels, const at::TensorOptions& tensors) {
  weight_ = register_parameter("weight", at::empty({channels}, tensors), false);
}

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  return at::rms_norm(x, weight_.sizes(), weight_, kEps);
}

Modulation::Modulation(std::int64_t channels, std::int64_t count, const at::TensorOptions& tensors)
    : count_(count) {
  linear_ = register_module("linear", std::make_shared<Linear>(channels, count * channels, true, tensors));
}

std::vector<at::Tensor> Modulation::forward(const at::Tensor& activated) const {
  return linear_->forward(activated).unsqueeze(1).chunk(count_, 2);
}

at::Tensor modulated(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  return moved(normed(x), scale, shift);
}

JointAttention::JointAttention(const Options& options, Prompt prompt, const at::TensorOptions& tensors)
    : prompt_(prompt), heads_(options.heads) {
  const std::int64_t channels = options.channels;
  const auto linear = [&](const char* name) {
    return register_module(name, std::make_shared<Linear>(channels, channels, true, tensors));
  };
  const auto norm = [&](const char* name) {
    return options.norm ? register_module(name, std::make_shared<RmsNorm>(channels / heads_, tensors))
                        : nullptr;
  };
  to_q_ = linear("to_q");
  to_k_ = linear("to_k");
  to_v_ = linear("to_v");
  norm_q_ = norm("norm_q");
  norm_k_ = norm("norm_k");
  to_out_ = register_module("to_out", std::make_shared<ModuleVector<Linear>>());
  to_out_->add(std::make_shared<Linear>(channels, channels, true, tensors));
  if (prompt == Prompt::none) return;
  add_q_ = linear("add_q_proj");
  add_k_ = linear("add_k_proj");
  add_v_ = linear("add_v_proj");
  norm_added_q_ = norm("norm_added_q");
  norm_added_k_ = norm("norm_added_k");
  if (prompt == Prompt::transformed) to_add_out_ = linear("to_add_out");
}

/// [B, L, C] -> [B, heads, L, C / heads]
at::Tensor JointAttention::heads_of(const at::Tensor& tokens, const std::shared_ptr<RmsNorm>& norm) const {
  const at::Tensor heads = tokens.view({tokens.size(0), tokens.size(1), heads_, -1});
  return (norm ? norm->forward(heads) : heads).transpose(1, 2);
}

JointTokens JointAttention::forward(const JointTokens& tokens) const {
  const at::Tensor& image = tokens.image;
  const std::int64_t samples = image.size(0), count = image.size(1);
  at::Tensor q = heads_of(to_q_->forward(image), norm_q_);  // [B, heads, L, C / heads]
  at::Tensor k = heads_of(to_k_->forward(image), norm_k_);
  at::Tensor v = heads_of(to_v_->forward(image), nullptr);
  if (prompt_ != Prompt::none) {
    const at::Tensor more_k = heads_of(add_k_->forward(tokens.prompt), norm_added_k_);
    const at::Tensor more_v = heads_of(add_v_->forward(tokens.prompt), nullptr);
    k = at::cat({k, for_all(more_k, samples)}, 2);  // [B, heads, L + T, C / heads]
    v = at::cat({v, for_all(more_v, samples)}, 2);
  }
  if (prompt_ == Prompt::transformed) {
    const at::Tensor more_q = heads_of(add_q_->forward(tokens.prompt), norm_added_q_);
    q = at::cat({q, for_all(more_q, samples)}, 2);
  }
  const at::Tensor all =
      at::scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2);  // [B, L or L + T, C]
  const at::Tensor& to_out = (*to_out_)[0].forward(all.narrow(1, 0, count));
  if (prompt_ != Prompt::transformed) return {to_out, {}};
  return {to_out, to_add_out_->forward(all.narrow(1, count, all.size(1) - count))};
}

TanhFeedForward::TanhFeedForward(std::int64_t channels, const at::TensorOptions& tensors) {
  // ff.net = [GELU with its projection `proj`, dropout, linear]
  struct Activation : torch::nn::Module {};
  auto activation = std::make_shared<Activation>();
  into_ =
      activation->register_module("proj", std::make_shared<Linear>(channels, 4 * channels, true, tensors));
  auto net = register_module("net", std::make_shared<ModuleVector<torch::nn::Module>>());
  out_ = std::make_shared<Linear>(4 * channels, channels, true, tensors);
  net->add(activation, 0);
  net->add(out_, 2);
}

at::Tensor TanhFeedForward::forward(const at::Tensor& x) const {
  at::Tensor inner = into_->forward(x);  // [B, L, 4 C]
  inner = inner.requires_grad() ? at::gelu(inner, "tanh") : at::gelu_(inner, "tanh");
  return out_->forward(inner);
}

JointBlock::JointBlock(const Options& options, const at::TensorOptions& tensors) {
  const std::int64_t channels = options.attention.channels;
  norm1_ = register_module("norm1", std::make_shared<Modulation>(channels, options.dual ? 9 : 6, tensors));
  norm1_prompt_ =
      register_module("norm1_context", std::make_shared<Modulation>(channels, options.last ? 2 : 6, tensors));
  const auto prompt = options.last ? JointAttention::Prompt::read : JointAttention::Prompt::transformed;
  attention_ = register_module("attn", std::make_shared<JointAttention>(options.attention, prompt, tensors));
  if (options.dual) {
    attention2_ = register_module(
        "attn2", std::make_shared<JointAttention>(options.attention, JointAttention::Prompt::none, tensors));
  }
  feed_forward_ = register_module("ff", std::make_shared<TanhFeedForward>(channels, tensors));
  if (!options.last)
    feed_forward_prompt_ =
        register_module("ff_context", std::make_shared<TanhFeedForward>(channels, tensors));
}

JointTokens JointBlock::forward(const JointTokens& tokens, const at::Tensor& activated) const {
  // Of each: shift, scale, gate of attention, shift, scale, gate of the feed-forward layer, and shift, scale,
  // gate of the second attention. Of the last block's prompt: scale, shift.
  const auto by = norm1_->forward(activated), by_prompt = norm1_prompt_->forward(activated);
  const bool last = by_prompt.size() == 2;
  const at::Tensor image_normed = normed(tokens.image);
  const at::Tensor prompt_moved = last ? modulated(tokens.prompt, by_prompt[0], by_prompt[1])
                                       : modulated(tokens.prompt, by_prompt[1], by_prompt[0]);
  const JointTokens attended = attention_->forward({moved(image_normed, by[1], by[0]), prompt_moved});
  return {image(tokens.image, attended.image, by, image_normed),
          last ? at::Tensor() : prompt(tokens.prompt, attended.prompt, by_prompt)};
}

at::Tensor JointBlock::image(const at::Tensor& x, const at::Tensor& attended,
                             const std::vector<at::Tensor>& by, const at::Tensor& normed) const {
  at::Tensor y = at::addcmul(x, by[2], attended);  // [B, L, C]
  if (attention2_) {
    const at::Tensor again = attention2_->forward({moved(normed, by[7], by[6]), {}}).image;
    y = at::addcmul(y, by[8], again);
  }
  return at::addcmul(y, by[5], feed_forward_->forward(modulated(y, by[4], by[3])));
}

at::Tensor JointBlock::prompt(const at::Tensor& x, const at::Tensor& attended,
                              const std::vector<at::Tensor>& by) const {
  const at::Tensor y = at::addcmul(x, by[2], attended);  // [B, T, C]
  return at::addcmul(y, by[5], feed_forward_prompt_->forward(modulated(y, by[4], by[3])));
}

}  // namespace dwgf
