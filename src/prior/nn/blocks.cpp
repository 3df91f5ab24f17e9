#include "prior/nn/blocks.hpp"

#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "prior/nn/attention_vjp.hpp"
#include "prior/nn/own_kernels.hpp"

namespace dwgf {

at::Tensor for_samples(const at::Tensor& told, std::int64_t samples) {
  const std::int64_t prompts = told.size(0);
  if (prompts == samples) return told;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(told.dim()), -1);
  if (prompts == 1) {
    shape[0] = samples;
    return told.expand(shape);
  }
  shape.insert(shape.begin() + 1, samples / prompts);
  return told.unsqueeze(1).expand(shape).flatten(0, 1);
}

ResidualBlock::ResidualBlock(const Options& options, const LayerOptions& tensors) {
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

at::Tensor ResidualBlock::shortcut(const at::Tensor& x) const {
  return shortcut_ ? shortcut_->forward(x) : x;  // [B, out, H, W]
}

/// norm2 of conv1(x) + offset, whose first pass adds it; offset [out] or [S, out], conv1's bias included.
GroupNorm::OfSum ResidualBlock::second_norm(const at::Tensor& x, const at::Tensor& offset) const {
  const bool differs = offset.dim() == 2 && offset.size(0) > 1;
  return norm2_->activated_sum(conv1_->forward_without_bias(x),
                               differs ? for_samples(offset, x.size(0)) : offset);
}

at::Tensor ResidualBlock::forward_with_offset(const at::Tensor& x, const at::Tensor& offset) const {
  at::Tensor h = norm1_->activated(x);  // [B, in, H, W]
  if (norm2_->kernels_serve(h)) return conv2_->forward_onto(second_norm(h, offset).value, shortcut(x));
  h = conv1_->forward_without_bias(h) + for_samples(offset, x.size(0)).unsqueeze(2).unsqueeze(3);
  return conv2_->forward_onto(norm2_->activated(h), shortcut(x));  // [B, out, H, W]
}

std::map<const ResidualBlock*, at::Tensor> TimeOffsets::of(const at::Tensor& activated_time) const {
  if (!matrix_.defined()) {
    const c10::InferenceMode recording(false);
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> matrices, biases;
    for (const ResidualBlock* block : blocks_) {
      matrices.push_back(block->time_matrix());
      biases.push_back(block->time_bias());
    }
    matrix_ = at::cat(matrices, 0);
    bias_ = at::cat(biases, 0);
  }
  const at::Tensor all = at::linear(activated_time, matrix_, bias_);  // [S, of all blocks]
  std::map<const ResidualBlock*, at::Tensor> offsets;
  std::int64_t first = 0;
  for (const ResidualBlock* block : blocks_) {
    const std::int64_t count = block->time_matrix().size(0);
    offsets[block] = all.narrow(1, first, count);
    first += count;
  }
  return offsets;
}

at::Tensor ResidualBlock::forward(const at::Tensor& x, const at::Tensor& activated_time) const {
  at::Tensor h = norm1_->activated(x);  // [B, in, H, W]
  const at::Tensor offset = time_projection_ ? time_projection_->forward(activated_time) : at::Tensor();
  if (norm2_->kernels_serve(h)) {
    const at::Tensor added = offset.defined() ? offset + conv1_->bias() : conv1_->bias();
    return conv2_->forward_onto(second_norm(h, added).value, shortcut(x));
  }
  if (!offset.defined()) {
    h = conv1_->forward(h);  // [B, out, H, W]
  } else if (offset.size(0) == 1) {
    // The same for all samples: an offset of each channel, which the convolution adds at no cost.
    h = conv1_->forward(h, offset[0]);
  } else {
    h = conv1_->forward(h) + for_samples(offset, x.size(0)).unsqueeze(2).unsqueeze(3);
  }
  return conv2_->forward_onto(norm2_->activated(h), shortcut(x));  // [B, out, H, W]
}

Vjp ResidualBlock::vjp(const at::Tensor& x) const {
  const auto [in, first] = norm1_->activated_with_statistics(x);  // [B, in, H, W]
  GroupNorm::OfSum second;                                        // [B, out, H, W]
  if (norm2_->kernels_serve(in)) {
    second = second_norm(in, conv1_->bias());
  } else {
    second.sum = conv1_->forward(in);
    const auto [value, statistics] = norm2_->activated_with_statistics(second.sum);
    second.value = value;
    second.statistics = statistics;
  }
  const at::Tensor y = conv2_->forward_onto(second.value, shortcut(x));
  return {y, [this, x, h = second.sum, of_x = first, of_h = second.statistics](const at::Tensor& cotangent) {
            const at::Tensor to_h = norm2_->activated_vjp(conv2_->vjp(cotangent), h, of_h);
            return norm1_->activated_vjp(conv1_->vjp(to_h), x, of_x,
                                         shortcut_ ? shortcut_->vjp(cotangent) : cotangent);  // [B, in, H, W]
          }};
}

Downsample::Downsample(std::int64_t channels, Padding padding, const LayerOptions& tensors)
    : padding_(padding) {
  const std::int64_t around = padding == Padding::symmetric ? 1 : 0;
  conv_ = register_module("conv", std::make_shared<Convolution>(channels, channels, 3, 2, around, tensors));
}

at::Tensor Downsample::forward(const at::Tensor& x) const {
  if (padding_ == Padding::symmetric) return conv_->forward(x);
  return conv_->forward(at::constant_pad_nd(x, {0, 1, 0, 1}));
}

Upsample::Upsample(std::int64_t channels, const LayerOptions& tensors, Convolution::Bias bias)
    : kernels_(tensors.kernels) {
  conv_ = register_module("conv", std::make_shared<Convolution>(channels, channels, 3, 1, 1, tensors, bias));
}

namespace {

/// 2 i + a sees the coarse positions i + a - 1 and i + a: the kernel's three taps [0, 1, 2], the first or the
/// last alone.
at::Tensor taps_of(const at::Tensor& kernel, std::int64_t axis, std::int64_t phase) {
  const at::Tensor first = kernel.narrow(axis, 0, 1), middle = kernel.narrow(axis, 1, 1),
                   last = kernel.narrow(axis, 2, 1);
  return phase == 0 ? at::cat({first, middle + last}, axis) : at::cat({first + middle, last}, axis);
}

}  // namespace

/// Whether a doubling is done on the coarse grid; elsewhere the libraries' kernels of 3 x 3 are better.
bool Upsample::doubles_on_coarse_grid(const at::Tensor& x) const {
  if (x.requires_grad() && c10::GradMode::is_enabled()) return false;
  if (kernels_ == Kernels::device) return own_kernels(x.device()) && kernel_number(x.scalar_type());
  return kernels_ == Kernels::host && x.is_cpu();
}

namespace {

/// Between the coarse results [B, 4 C, H + 1, W + 1] and the fine grid [B, C, 2 H, 2 W], by the device's
/// kernel.
void interleave(const at::Tensor& from, const at::Tensor& to, bool adjoint) {
  const at::Tensor& fine = adjoint ? from : to;
  own_kernels(from.device())
      ->interleave({.samples = fine.size(0),
                    .height = fine.size(2) / 2,
                    .width = fine.size(3) / 2,
                    .channels = fine.size(1),
                    .number = *kernel_number(from.scalar_type()),
                    .adjoint = adjoint,
                    .from = from.data_ptr(),
                    .to = to.data_ptr()},
                   stream_of(from.device()));
}

}  // namespace

at::Tensor Upsample::doubled(const at::Tensor& x) const {
  const std::int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  if (!on_coarse_grid_) {
    const c10::InferenceMode recording(false);
    const at::NoGradGuard no_grad;
    const at::Tensor kernel = conv_->weight();  // [C, C, 3, 3]
    std::vector<at::Tensor> blocks;             // 4 x [C, C, 2, 2]
    for (const std::int64_t a : {0, 1})
      for (const std::int64_t b : {0, 1}) blocks.push_back(taps_of(taps_of(kernel, 2, a), 3, b));
    const at::Tensor& bias = conv_->bias();
    on_coarse_grid_ = std::make_shared<Convolution>(
        at::cat(blocks, 0), bias.defined() ? bias.repeat({4}) : at::Tensor(), 1, 1, kernels_);
  }
  const at::Tensor all = on_coarse_grid_->forward(x);  // [B, 4 C, H + 1, W + 1]
  if (kernels_ == Kernels::device) {
    const at::Tensor fine =
        at::empty({x.size(0), channels, 2 * height, 2 * width}, x.options(), at::MemoryFormat::ChannelsLast);
    interleave(in_network_format(all, kernels_), fine, false);
    return fine;
  }
  at::Tensor y =
      at::empty({x.size(0), channels, 2 * height, 2 * width}, x.options(), x.suggest_memory_format());
  for (const std::int64_t a : {0, 1}) {
    for (const std::int64_t b : {0, 1}) {
      const at::Tensor block = all.narrow(1, (2 * a + b) * channels, channels);
      y.slice(2, a, 2 * height, 2)
          .slice(3, b, 2 * width, 2)
          .copy_(block.narrow(2, a, height).narrow(3, b, width));
    }
  }
  return y;  // [B, C, 2 H, 2 W]
}

at::Tensor Upsample::doubled_vjp(const at::Tensor& cotangent) const {
  const std::int64_t channels = cotangent.size(1), height = cotangent.size(2) / 2,
                     width = cotangent.size(3) / 2;
  if (kernels_ == Kernels::device) {
    const at::Tensor coarse = at::empty({cotangent.size(0), 4 * channels, height + 1, width + 1},
                                        cotangent.options(), at::MemoryFormat::ChannelsLast);
    interleave(in_network_format(cotangent, kernels_), coarse, true);
    return on_coarse_grid_->vjp(coarse);
  }
  at::Tensor all = at::zeros({cotangent.size(0), 4 * channels, height + 1, width + 1}, cotangent.options());
  if (cotangent.suggest_memory_format() == at::MemoryFormat::ChannelsLast)
    all = all.contiguous(at::MemoryFormat::ChannelsLast);
  for (const std::int64_t a : {0, 1}) {
    for (const std::int64_t b : {0, 1}) {
      const at::Tensor block = all.narrow(1, (2 * a + b) * channels, channels);
      block.narrow(2, a, height)
          .narrow(3, b, width)
          .copy_(cotangent.slice(2, a, 2 * height, 2).slice(3, b, 2 * width, 2));
    }
  }
  return on_coarse_grid_->vjp(all);  // [B, C, H, W]
}

at::Tensor Upsample::forward(const at::Tensor& x, std::int64_t height, std::int64_t width) const {
  if (doubles_on_coarse_grid(x) && height == 2 * x.size(2) && width == 2 * x.size(3)) return doubled(x);
  return conv_->forward(at::upsample_nearest2d(x, {height, width}));
}

Vjp Upsample::vjp(const at::Tensor& x) const {
  const at::Tensor y = forward(x, 2 * x.size(2), 2 * x.size(3));
  if (doubles_on_coarse_grid(x))
    return {y, [this](const at::Tensor& cotangent) { return doubled_vjp(cotangent); }};
  return {
      y, [this](const at::Tensor& cotangent) {
        return at::avg_pool2d(conv_->vjp(cotangent), {2, 2}).mul_(4.0);  // the adjoint of repetition is a sum
      }};
}

Attention::Attention(const Options& options, const LayerOptions& tensors)
    : kernels_(tensors.kernels), heads_(options.heads) {
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

Attention::Heads Attention::heads_of(const at::Tensor& tokens) const {
  if (kernels_ != Kernels::device)
    return {split_heads(to_q_->forward(tokens)), split_heads(to_k_->forward(tokens)),
            split_heads(to_v_->forward(tokens))};
  if (!together_.defined()) {
    const c10::InferenceMode recording(false);
    const at::NoGradGuard no_grad;
    together_ = at::cat({to_q_->matrix(), to_k_->matrix(), to_v_->matrix()}, 0);
    if (to_q_->bias().defined()) together_bias_ = at::cat({to_q_->bias(), to_k_->bias(), to_v_->bias()}, 0);
  }
  const std::vector<at::Tensor> parts = at::linear(tokens, together_, together_bias_).chunk(3, -1);
  return {split_heads(parts[0]), split_heads(parts[1]), split_heads(parts[2])};
}

at::Tensor SelfAttention::forward(const at::Tensor& x, const at::Tensor&) const {
  const auto [q, k, v] = heads_of(x);
  return to_out().forward(merge_heads(at::scaled_dot_product_attention(q, k, v)));  // [B, L, C]
}

CrossAttention::OfContext CrossAttention::of_context(const at::Tensor& context) const {
  if (kept_.context.defined() && kept_.context.is_same(context)) return kept_;
  const c10::InferenceMode recording(kernels_ != Kernels::device && c10::InferenceMode::is_enabled());
  const at::NoGradGuard no_grad;
  OfContext made{context, {}, {}, {}};
  const at::Tensor values = to_v_->forward(context);  // [S, tokens, C]
  if (context.size(1) == 1) {
    made.only = to_out().forward(values);
  } else {
    made.k = split_heads(to_k_->forward(context));
    made.v = split_heads(values);
  }
  if (kernels_ == Kernels::device) kept_ = made;
  return made;
}

at::Tensor CrossAttention::forward(const at::Tensor& x, const at::Tensor& context) const {
  const OfContext given = of_context(context);
  if (given.only.defined()) return context.size(0) == 1 ? given.only : for_samples(given.only, x.size(0));
  const at::Tensor k = for_samples(given.k, x.size(0)), v = for_samples(given.v, x.size(0));
  const at::Tensor q = split_heads(to_q_->forward(x));  // [B, heads, L, C / heads]
  return to_out().forward(merge_heads(at::scaled_dot_product_attention(q, k, v)));  // [B, L, C]
}

ImageAttention::ImageAttention(const Options& options, const LayerOptions& tensors)
    : Attention({.channels = options.channels,
                 .key_channels = options.channels,
                 .heads = options.heads,
                 .bias = true},
                tensors) {
  norm_ = register_module(
      "group_norm", std::make_shared<GroupNorm>(options.groups, options.channels, options.eps, tensors));
}

namespace {

/// [B, C, H, W] -> [B, L, C], no copy in the networks' format on CPUs.
at::Tensor tokens_of(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1}).flatten(1, 2);
}

/// And back, to positions like those of `x`.
at::Tensor image_of(const at::Tensor& tokens, const at::Tensor& x) {
  return tokens.view({x.size(0), x.size(2), x.size(3), tokens.size(2)}).permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor ImageAttention::forward(const at::Tensor& x, const at::Tensor&) const {
  const auto [q, k, v] = heads_of(tokens_of(norm_->forward(x)));
  const at::Tensor h = to_out().forward(merge_heads(attention(q, k, v, kernels_)));  // [B, L, C]
  return x + image_of(h, x);                                                         // [B, C, H, W]
}

Vjp ImageAttention::vjp(const at::Tensor& x) const {
  return {forward(x), [this, x](const at::Tensor& cotangent) { return pull(x, cotangent); }};
}

at::Tensor ImageAttention::pull(const at::Tensor& x, const at::Tensor& cotangent) const {
  const auto [normed, statistics] = norm_->plain(x);
  const at::Tensor tokens = tokens_of(normed);                                  // [B, L, C]
  const at::Tensor to_heads = split_heads(to_out().vjp(tokens_of(cotangent)));  // [B, heads, L, C / heads]
  const auto [q, k, v] = heads_of(tokens);
  const auto [to_q, to_k, to_v] = attention_vjp(q, k, v, to_heads, kernels_);
  const at::Tensor to_tokens = to_v_->vjp(merge_heads(to_v), tokens)
                                   .add_(to_k_->vjp(merge_heads(to_k), tokens))
                                   .add_(to_q_->vjp(merge_heads(to_q), tokens));
  return norm_->plain_vjp(image_of(to_tokens, x), x, statistics, cotangent);  // [B, C, H, W]
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
                                   const LayerOptions& tensors) {
  norm1_ = register_module("norm1", std::make_shared<LayerNorm>(channels, tensors));
  norm2_ = register_module("norm2", std::make_shared<LayerNorm>(channels, tensors));
  norm3_ = register_module("norm3", std::make_shared<LayerNorm>(channels, tensors));
  Attention::Options attention{.channels = channels, .key_channels = channels, .heads = heads};
  self_ = register_module("attn1", std::make_shared<SelfAttention>(attention, tensors));
  attention.key_channels = context_channels;
  cross_ = register_module("attn2", std::make_shared<CrossAttention>(attention, tensors));
  feed_forward_ = register_module("ff", std::make_shared<FeedForward>(channels, tensors));
}

at::Tensor TransformerLayer::forward(at::Tensor x, const at::Tensor& context) const {
  x = self_->forward(norm1_->forward(x)).add_(x);                        // [B, L, C]
  const bool one_token = context.size(1) == 1;                           // then the queries do not matter
  x = x + cross_->forward(one_token ? x : norm2_->forward(x), context);  // [B, L, C]
  return feed_forward_->forward(norm3_->forward(x)).add_(x);             // [B, L, C]
}

ImageTransformer::ImageTransformer(const Options& options, const LayerOptions& tensors) {
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

at::Tensor ImageTransformer::forward(const at::Tensor& x, const at::Tensor& context) const {
  at::Tensor h = into_->forward(tokens_of(norm_->forward(x)));  // [B, L, C]
  for (std::size_t i = 0; i < layers_->size(); ++i) h = (*layers_)[i].forward(h, context);
  h = out_->forward(h);       // [B, L, C]
  return x + image_of(h, x);  // [B, C, H, W]
}

}  // namespace dwgf
