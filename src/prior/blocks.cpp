#include <utility>

#include <ATen/ATen.h>

#include <dwgf/prior/blocks.hpp>

namespace dwgf {

ResidualBlock::ResidualBlock(const Options& options, const at::TensorOptions& tensors) {
  const auto [in, out, time_channels, groups, eps] = options;
  norm1_ = register_module("norm1", std::make_shared<GroupNorm>(groups, in, eps, tensors));
  conv1_ = register_module("conv1", std::make_shared<Convolution>(in, out, 3, 1, 1, tensors));
  if (time_channels > 0) {
    time_projection_ =
        register_module("time_emb_proj", std::make_shared<Linear>(time_channels, out, true, tensors));
  }
  norm2_ = register_module("norm2", std::make_shared<GroupNorm>(groups, out, eps, tensors));
  conv2_ = register_module("conv2", std::make_shared<Convolution>(out, out, 3, 1, 1, tensors));
  if (in != out)
    shortcut_ = register_module("conv_shortcut", std::make_shared<Convolution>(in, out, 1, 1, 0, tensors));
}

at::Tensor ResidualBlock::forward(const at::Tensor& x, const at::Tensor& activated_time,
                                  const Normaliser& normalise) const {
  at::Tensor h = activate(normalise(*norm1_, x));  // [B, in, H, W]
  if (time_projection_) {
    // One time for all samples: its projection is an offset of each channel, which the convolution adds at no
    // cost.
    h = conv1_->forward(h, time_projection_->forward(activated_time)[0]);  // [B, out, H, W]
  } else {
    h = conv1_->forward(h);  // [B, out, H, W]
  }
  h = conv2_->forward(activate(normalise(*norm2_, h)));  // [B, out, H, W]
  return h.add_(shortcut_ ? shortcut_->forward(x)
                          : x);  // a convolution's result is not needed by its backward pass
}

Downsample::Downsample(std::int64_t channels, Padding padding, const at::TensorOptions& tensors)
    : padding_(padding) {
  const std::int64_t around = padding == Padding::symmetric ? 1 : 0;
  conv_ = register_module("conv", std::make_shared<Convolution>(channels, channels, 3, 2, around, tensors));
}

at::Tensor Downsample::forward(const at::Tensor& x) const {
  if (padding_ == Padding::symmetric) return conv_->forward(x);
  return conv_->forward(at::constant_pad_nd(x, {0, 1, 0, 1}));
}

Upsample::Upsample(std::int64_t channels, const at::TensorOptions& tensors) {
  conv_ = register_module("conv", std::make_shared<Convolution>(channels, channels, 3, 1, 1, tensors));
}

at::Tensor Upsample::forward(const at::Tensor& x, std::int64_t height, std::int64_t width) const {
  return conv_->forward(at::upsample_nearest2d(x, {height, width}));
}

Attention::Attention(const Options& options, const at::TensorOptions& tensors) : heads_(options.heads) {
  const auto [channels, key_channels, heads, bias] = options;
  to_q_ = register_module("to_q", std::make_shared<Linear>(channels, channels, bias, tensors));
  to_k_ = register_module("to_k", std::make_shared<Linear>(key_channels, channels, bias, tensors));
  to_v_ = register_module("to_v", std::make_shared<Linear>(key_channels, channels, bias, tensors));
  to_out_ = register_module("to_out", std::make_shared<ModuleVector<Linear>>());
  to_out_->add(std::make_shared<Linear>(channels, channels, true, tensors));
}

at::Tensor Attention::split_heads(const at::Tensor& tokens) const {
  return tokens.view({tokens.size(0), tokens.size(1), heads_, -1}).transpose(1, 2);
}

at::Tensor Attention::merge_heads(const at::Tensor& heads) const {
  return heads.transpose(1, 2).flatten(2);
}

at::Tensor SelfAttention::forward(const at::Tensor& x) const {
  const at::Tensor q = split_heads(to_q_->forward(x));  // [B, heads, L, C / heads]
  const at::Tensor k = split_heads(to_k_->forward(x));
  const at::Tensor v = split_heads(to_v_->forward(x));
  return to_out().forward(merge_heads(at::scaled_dot_product_attention(q, k, v)));  // [B, L, C]
}

void CrossAttention::set_context(const at::Tensor& context) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = to_v_->forward(context);  // [1, tokens, C]
  keys_ = split_heads(to_k_->forward(context));       // [1, heads, tokens, C / heads]
  values_ = split_heads(values);                      // [1, heads, tokens, C / heads]
  constant_ = context.size(1) == 1 ? to_out().forward(values) : at::Tensor();  // [1, 1, C]
}

at::Tensor CrossAttention::forward(const at::Tensor& x) const {
  if (constant()) return constant_;
  const at::Tensor q = split_heads(to_q_->forward(x));           // [B, heads, L, C / heads]
  const at::Tensor k = keys_.expand({x.size(0), -1, -1, -1});    // [B, heads, tokens, C / heads]
  const at::Tensor v = values_.expand({x.size(0), -1, -1, -1});  // [B, heads, tokens, C / heads]
  return to_out().forward(merge_heads(at::scaled_dot_product_attention(q, k, v)));  // [B, L, C]
}

ImageAttention::ImageAttention(const Options& options, const at::TensorOptions& tensors)
    : Attention({.channels = options.channels,
                 .key_channels = options.channels,
                 .heads = options.heads,
                 .bias = true},
                tensors) {
  norm_ = register_module(
      "group_norm", std::make_shared<GroupNorm>(options.groups, options.channels, options.eps, tensors));
}

at::Tensor ImageAttention::forward(const at::Tensor& x) const {
  const at::Tensor tokens = norm_->forward(x).flatten(2).transpose(1, 2).contiguous();  // [B, L, C]
  const at::Tensor q = split_heads(to_q_->forward(tokens));  // [B, heads, L, C / heads]
  const at::Tensor k = split_heads(to_k_->forward(tokens));
  const at::Tensor v = split_heads(to_v_->forward(tokens));
  const at::Tensor h = to_out().forward(merge_heads(at::scaled_dot_product_attention(q, k, v)));  // [B, L, C]
  return x + h.transpose(1, 2).view_as(x);  // [B, C, H, W]
}

std::string current_attention_name(const std::string& stored_name) {
  static constexpr std::pair<const char*, const char*> kOldNames[] = {
      {".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}};
  if (stored_name.find(".attentions.") == std::string::npos) return stored_name;
  for (const auto& [old_name, new_name] : kOldNames) {
    if (const auto at = stored_name.find(old_name); at != std::string::npos) {
      return std::string(stored_name).replace(at, std::string(old_name).size(), new_name);
    }
  }
  return stored_name;
}

FeedForward::FeedForward(std::int64_t channels, const at::TensorOptions& tensors) {
  // ff.net = [GEGLU with its projection `proj`, dropout, linear]
  struct Gate : torch::nn::Module {};
  auto gate = std::make_shared<Gate>();
  into_ = gate->register_module("proj", std::make_shared<Linear>(channels, 8 * channels, true, tensors));
  auto net = register_module("net", std::make_shared<ModuleVector<torch::nn::Module>>());
  out_ = std::make_shared<Linear>(4 * channels, channels, true, tensors);
  net->add(gate, 0);
  net->add(out_, 2);
}

at::Tensor FeedForward::forward(const at::Tensor& x) const {
  const auto parts = into_->forward(x).chunk(2, -1);  // 2 x [B, L, 4 C]
  at::Tensor gate = at::gelu(parts[1]);               // [B, L, 4 C]
  gate = gate.requires_grad() ? gate * parts[0] : gate.mul_(parts[0]);
  return out_->forward(gate);  // [B, L, C]
}

TransformerLayer::TransformerLayer(std::int64_t channels, std::int64_t context_channels, std::int64_t heads,
                                   const at::TensorOptions& tensors) {
  norm1_ = register_module("norm1", std::make_shared<LayerNorm>(channels, tensors));
  norm2_ = register_module("norm2", std::make_shared<LayerNorm>(channels, tensors));
  norm3_ = register_module("norm3", std::make_shared<LayerNorm>(channels, tensors));
  Attention::Options attention{.channels = channels, .key_channels = channels, .heads = heads};
  self_ = register_module("attn1", std::make_shared<SelfAttention>(attention, tensors));
  attention.key_channels = context_channels;
  cross_ = register_module("attn2", std::make_shared<CrossAttention>(attention, tensors));
  feed_forward_ = register_module("ff", std::make_shared<FeedForward>(channels, tensors));
}

at::Tensor TransformerLayer::forward(at::Tensor x) const {
  x = self_->forward(norm1_->forward(x)).add_(x);                        // [B, L, C]
  x = x + cross_->forward(cross_->constant() ? x : norm2_->forward(x));  // [B, L, C]
  return feed_forward_->forward(norm3_->forward(x)).add_(x);             // [B, L, C]
}

ImageTransformer::ImageTransformer(const Options& options, const at::TensorOptions& tensors) {
  const auto [channels, context_channels, heads, layers, groups, linear_projection] = options;
  const auto stored = linear_projection ? Linear::Stored::matrix : Linear::Stored::convolution;
  norm_ = register_module("norm", std::make_shared<GroupNorm>(groups, channels, 1e-6, tensors));
  into_ = register_module("proj_in", std::make_shared<Linear>(channels, channels, true, tensors, stored));
  layers_ = register_module("transformer_blocks", std::make_shared<ModuleVector<TransformerLayer>>());
  for (std::int64_t i = 0; i < layers; ++i) {
    layers_->add(std::make_shared<TransformerLayer>(channels, context_channels, heads, tensors));
  }
  out_ = register_module("proj_out", std::make_shared<Linear>(channels, channels, true, tensors, stored));
}

at::Tensor ImageTransformer::forward(const at::Tensor& x) const {
  at::Tensor h = norm_->forward(x).flatten(2).transpose(1, 2);  // [B, L, C]
  h = into_->forward(h.contiguous());                           // [B, L, C]
  for (std::size_t i = 0; i < layers_->size(); ++i) h = (*layers_)[i].forward(h);
  h = out_->forward(h);                     // [B, L, C]
  return x + h.transpose(1, 2).view_as(x);  // [B, C, H, W]
}

}  // namespace dwgf
