#include "prior/nn/blocks.hpp"

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "prior_files.hpp"

namespace dwgf {
namespace {

const at::TensorOptions kDouble = at::TensorOptions(at::kDouble);

/// Random values for a module's parameters, by name.
std::map<std::string, at::Tensor> randomise(torch::nn::Module& module) {
  std::map<std::string, at::Tensor> parameters;
  for (auto& item : module.named_parameters()) {
    item.value().normal_(0.0, 0.5);
    parameters[item.key()] = item.value();
  }
  return parameters;
}

TEST(Blocks, SamplesInRunsAreToldTheSame) {
  const at::Tensor told = at::arange(6).view({2, 3});
  EXPECT_TRUE(at::equal(for_samples(told, 2), told));
  EXPECT_TRUE(at::equal(for_samples(told, 6), told.repeat_interleave(3, 0)));
  EXPECT_TRUE(at::equal(for_samples(told.narrow(0, 1, 1), 4), told.narrow(0, 1, 1).repeat({4, 1})));
}

TEST(ResidualBlock, FollowsItsEquation) {
  at::manual_seed(1);
  ResidualBlock block({.in = 4, .out = 6, .time_channels = 5, .groups = 2, .eps = 1e-5}, kDouble);
  auto p = randomise(block);
  const at::Tensor x = at::randn({2, 4, 5, 3}, kDouble), time = at::randn({1, 5}, kDouble);
  at::Tensor h = at::conv2d(at::silu(at::group_norm(x, 2, p["norm1.weight"], p["norm1.bias"], 1e-5)),
                            p["conv1.weight"], p["conv1.bias"], 1, 1);
  h = h + at::linear(time, p["time_emb_proj.weight"], p["time_emb_proj.bias"]).view({1, 6, 1, 1});
  h = at::conv2d(at::silu(at::group_norm(h, 2, p["norm2.weight"], p["norm2.bias"], 1e-5)), p["conv2.weight"],
                 p["conv2.bias"], 1, 1);
  const at::Tensor expected = h + at::conv2d(x, p["conv_shortcut.weight"], p["conv_shortcut.bias"]);
  const at::Tensor before = x.clone();
  EXPECT_LE(test::relative_error(block.forward(x, time), expected), 1e-13);
  EXPECT_TRUE(at::equal(x, before));  // what is done in place is done to values of the block's own
}

TEST(ResidualBlock, GivesTheSameWithAndWithoutAGradient) {
  at::manual_seed(2);
  ResidualBlock block({.in = 4, .out = 4, .groups = 2}, kDouble);
  randomise(block);
  at::Tensor x = at::randn({1, 4, 4, 4}, kDouble);
  const at::Tensor plain = block.forward(x, {});
  x.requires_grad_();
  const at::Tensor recorded = block.forward(x, {});
  EXPECT_TRUE(at::equal(plain, recorded.detach()));
  recorded.sum().backward();
  EXPECT_TRUE(x.grad().defined());
}

/// softmax(q k^T / sqrt(d)) v, head by head.
at::Tensor attention(const at::Tensor& x, const at::Tensor& context, std::map<std::string, at::Tensor>& p,
                     std::int64_t heads) {
  const auto project = [&](const at::Tensor& in, const std::string& name) {
    return at::matmul(in, p[name + ".weight"].t());
  };
  const at::Tensor q = project(x, "to_q"), k = project(context, "to_k"), v = project(context, "to_v");
  std::vector<at::Tensor> out;
  const auto width = q.size(2) / heads;
  for (std::int64_t i = 0; i < heads; ++i) {
    const auto part = [&](const at::Tensor& all) { return all.narrow(2, i * width, width); };
    const at::Tensor logits =
        at::matmul(part(q), part(k).transpose(1, 2)) / std::sqrt(static_cast<double>(width));
    out.push_back(at::matmul(logits.softmax(-1), part(v)));
  }
  return project(at::cat(out, 2), "to_out.0") + p["to_out.0.bias"];
}

TEST(Attention, FollowsItsEquation) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({2, 7, 6}, kDouble), context = at::randn({1, 4, 5}, kDouble);
  SelfAttention self({.channels = 6, .key_channels = 6, .heads = 3}, kDouble);
  auto p = randomise(self);
  EXPECT_LE(test::relative_error(self.forward(x), attention(x, x, p, 3)), 1e-13);

  CrossAttention cross({.channels = 6, .key_channels = 5, .heads = 2}, kDouble);
  auto c = randomise(cross);
  EXPECT_LE(test::relative_error(cross.forward(x, context), attention(x, context.expand({2, 4, 5}), c, 2)),
            1e-13);
  const at::Tensor token = context.narrow(1, 0, 1);
  const at::Tensor constant = cross.forward(x, token);
  EXPECT_EQ(constant.sizes(), (std::vector<std::int64_t>{1, 1, 6}));
  EXPECT_LE(test::relative_error(constant.expand_as(x), attention(x, token.expand({2, 1, 5}), c, 2)), 1e-13);
}

TEST(FeedForward, FollowsItsEquation) {
  at::manual_seed(4);
  FeedForward block(3, kDouble);
  auto p = randomise(block);
  const at::Tensor x = at::randn({2, 5, 3}, kDouble);
  const auto parts = at::linear(x, p["net.0.proj.weight"], p["net.0.proj.bias"]).chunk(2, -1);
  const at::Tensor expected = at::linear(parts[0] * at::gelu(parts[1]), p["net.2.weight"], p["net.2.bias"]);
  EXPECT_LE(test::relative_error(block.forward(x), expected), 1e-13);
}

TEST(Resampling, KeepsToTheSizesOfTheNetworks) {
  const Downsample symmetric(2, Downsample::Padding::symmetric, kDouble),
      corner(2, Downsample::Padding::below_right, kDouble);
  const at::Tensor x = at::zeros({1, 2, 7, 10}, kDouble);
  EXPECT_EQ(symmetric.forward(x).sizes(), (std::vector<std::int64_t>{1, 2, 4, 5}));
  EXPECT_EQ(corner.forward(x).sizes(), (std::vector<std::int64_t>{1, 2, 3, 5}));
  EXPECT_EQ(Upsample(2, kDouble).forward(at::zeros({1, 2, 4, 5}, kDouble), 7, 10).sizes(), x.sizes());
}

}  // namespace
}  // namespace dwgf
