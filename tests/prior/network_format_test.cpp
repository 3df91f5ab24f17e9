/// What is done in another way in the networks' format on CPUs (channels next to each other, weights packed)
/// against the plain definition in float64, and every pull-back of a layer's own against autograd.
#include <cstdint>
#include <vector>

#include <dwgf/base/error.hpp>

#include "prior/nn/autograd_vjp.hpp"
#include "prior/nn/blocks.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

constexpr double kFloatTolerance = 2e-6;

/// The same random values in two modules of two types.
void randomise_alike(torch::nn::Module& one, torch::nn::Module& other) {
  for (auto& item : one.named_parameters()) {
    item.value().copy_(at::randn(item.value().sizes(), at::kDouble) * 0.3 +
                       (item.key().ends_with("norm.weight") ? 1.0 : 0.0));
    other.named_parameters()[item.key()].copy_(item.value());
  }
}

/// J^T c of f at x, by autograd in float64.
at::Tensor by_autograd(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x,
                       const at::Tensor& c) {
  return autograd_vjp(f, x.to(at::kDouble)).pull(c.to(at::kDouble));
}

at::Tensor in_format(at::IntArrayRef shape, double mean = 0.0) {
  return in_network_format(at::randn(shape) + mean);
}

TEST(NetworkFormat, PutsChannelsNextToEachOtherWhateverTheShape) {
  for (const auto& shape :
       std::vector<std::vector<std::int64_t>>{{2, 3, 4, 5}, {1, 1, 6, 4}, {3, 4, 1, 1}, {2, 1, 1, 1}}) {
    const at::Tensor x = at::randn(shape), y = in_network_format(x);
    EXPECT_TRUE(at::equal(x, y));
    EXPECT_EQ(y.stride(1), 1);
    EXPECT_EQ(y.stride(3), shape[1]);
  }
  const at::Tensor wide = at::randn({1, 2, 3, 3}, at::kDouble);
  EXPECT_TRUE(in_network_format(wide).is_contiguous());
}

TEST(NetworkFormat, NormsAndTheirActivationFollowTheirEquation) {
  at::manual_seed(11);
  for (const auto& [shape, groups] : std::vector<std::pair<std::vector<std::int64_t>, std::int64_t>>{
           {{3, 16, 9, 7}, 8}, {{1, 6, 5, 3}, 2}, {{2, 48, 8, 8}, 16}, {{1, 32, 80, 70}, 4}}) {
    for (const double mean : {0.0, 300.0}) {
      SCOPED_TRACE(formatted("{} channels about {}", shape[1], mean));
      GroupNorm norm(groups, shape[1], 1e-6, at::TensorOptions(at::kFloat)),
          exact(groups, shape[1], 1e-6, at::TensorOptions(at::kDouble));
      randomise_alike(exact, norm);
      const at::Tensor x = in_format(shape, mean), wide = x.to(at::kDouble).contiguous(),
                       c = in_format(shape);
      const double tolerance =
          mean > 0.0 ? 1e-4 : kFloatTolerance;  // x itself carries 3e-5 of its deviation there
      EXPECT_LE(relative_error(norm.forward(x), exact.forward(wide)), tolerance);
      EXPECT_LE(relative_error(norm.activated(x), at::silu(exact.forward(wide))), tolerance);
      const auto statistics = norm.statistics(x);
      const auto f = [&](const at::Tensor& leaf) { return at::silu(exact.forward(leaf)); };
      EXPECT_LE(relative_error(norm.activated_vjp(c.clone(), x, statistics, c), by_autograd(f, wide, c) + c),
                10 * tolerance);
    }
  }
}

TEST(NetworkFormat, ActivationStaysFiniteAndExactAtItsEnds) {
  GroupNorm norm(1, 1, 1.0, at::TensorOptions(at::kFloat));
  for (auto& parameter : norm.parameters())
    parameter.fill_(parameter.is_same(norm.named_parameters()["weight"]) ? 1.0 : 0.0);
  const GroupNorm::Statistics identity{at::zeros({1, 1}), at::ones({1, 1})};
  const at::Tensor x = at::linspace(-300.0, 300.0, 4001).view({1, 1, 4001, 1});
  const at::Tensor y = norm.activated(in_network_format(x), identity);
  EXPECT_LE((y.to(at::kDouble) - at::silu(x.to(at::kDouble))).abs().max().item<double>(), 3e-5);
  EXPECT_LE(((y - at::silu(x)) / (at::silu(x).abs() + 1e-30)).slice(2, 1800, 2200).abs().max().item<double>(),
            5e-7);
  const at::Tensor odd = at::full({1, 1, 1, 1}, std::numeric_limits<double>::quiet_NaN(), at::kFloat);
  EXPECT_TRUE(norm.activated(in_network_format(odd), identity).isnan().all().item<bool>());
}

TEST(NetworkFormat, AConvolutionsVjpIsItsAdjoint) {
  at::manual_seed(12);
  for (const auto& [kernel, padding] : {std::pair<std::int64_t, std::int64_t>{3, 1}, {1, 0}, {2, 1}}) {
    Convolution narrow(5, 7, kernel, 1, padding, at::TensorOptions(at::kFloat)),
        exact(5, 7, kernel, 1, padding, at::TensorOptions(at::kDouble));
    randomise_alike(exact, narrow);
    const at::Tensor x = in_format({2, 5, 6, 9}), wide = x.to(at::kDouble).contiguous();
    const at::Tensor y = exact.forward(wide), more = at::randn_like(y), c = at::randn_like(y);
    EXPECT_LE(relative_error(narrow.forward(x), y), kFloatTolerance);
    EXPECT_LE(relative_error(narrow.forward_onto(x, in_network_format(more.to(at::kFloat))), y + more),
              kFloatTolerance);
    EXPECT_NEAR((y - exact.forward(at::zeros_like(wide))).mul(c).sum().item<double>(),
                exact.vjp(c).mul(wide).sum().item<double>(), 1e-10);
    EXPECT_LE(relative_error(narrow.vjp(in_network_format(c.to(at::kFloat))), exact.vjp(c)), kFloatTolerance);
  }
}

TEST(NetworkFormat, PackedWeightsAreStillThereForAGradient) {
  at::manual_seed(13);
  Convolution layer(4, 4, 3, 1, 1, at::TensorOptions(at::kFloat));
  for (auto& parameter : layer.parameters()) parameter.normal_();
  const at::Tensor weight = layer.weight().clone(), x = in_format({1, 4, 5, 5});
  const at::Tensor y = layer.forward(x);
  EXPECT_TRUE(at::equal(layer.weight(), weight));
  const at::Tensor leaf = x.detach().clone().requires_grad_();
  const at::Tensor again = layer.forward(leaf);
  EXPECT_LE(relative_error(again.detach(), y), kFloatTolerance);
  again.sum().backward();
  EXPECT_TRUE(leaf.grad().defined());
}

TEST(NetworkFormat, DoublingOnTheCoarseGridIsRepetitionAndConvolution) {
  at::manual_seed(14);
  for (const auto type : {at::kFloat, at::kDouble}) {
    Upsample layer(6, at::TensorOptions(type));
    for (auto& parameter : layer.parameters()) parameter.normal_();
    const auto parameters = layer.named_parameters();
    const at::Tensor weight = parameters["conv.weight"].to(at::kDouble),
                     bias = parameters["conv.bias"].to(at::kDouble);
    for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{4, 7}, {1, 1}}) {
      const at::Tensor x = in_network_format(at::randn({2, 6, height, width}).to(type)),
                       wide = x.to(at::kDouble).contiguous();
      const at::Tensor c = in_network_format(at::randn({2, 6, 2 * height, 2 * width}).to(type));
      const auto f = [&](const at::Tensor& leaf) {
        return at::conv2d(at::upsample_nearest2d(leaf, {2 * leaf.size(2), 2 * leaf.size(3)}), weight, bias, 1,
                          1);
      };
      const double tolerance = type == at::kDouble ? 1e-13 : kFloatTolerance;
      EXPECT_LE(relative_error(layer.forward(x, 2 * height, 2 * width), f(wide)), tolerance);
      EXPECT_LE(relative_error(layer.vjp(x).pull(c), by_autograd(f, wide, c)), tolerance);
    }
  }
}

TEST(NetworkFormat, AResidualBlocksVjpIsThatOfAutograd) {
  at::manual_seed(15);
  for (const std::int64_t out : {8, 12}) {
    const ResidualBlock::Options options{.in = 8, .out = out, .groups = 4, .eps = 1e-5};
    ResidualBlock narrow(options, at::TensorOptions(at::kFloat)),
        exact(options, at::TensorOptions(at::kDouble));
    randomise_alike(exact, narrow);
    const at::Tensor x = in_format({2, 8, 5, 6}), c = in_format({2, out, 5, 6});
    const at::Tensor expected = by_autograd([&](const at::Tensor& leaf) { return exact.forward(leaf, {}); },
                                            x.contiguous(), c.contiguous());
    EXPECT_LE(relative_error(exact.vjp(x.to(at::kDouble).contiguous()).pull(c.to(at::kDouble).contiguous()),
                             expected),
              1e-12);
    EXPECT_LE(relative_error(narrow.vjp(x).pull(c), expected), 5 * kFloatTolerance);
    EXPECT_LE(relative_error(narrow.forward(x, {}), exact.forward(x.to(at::kDouble).contiguous(), {})),
              5 * kFloatTolerance);
  }
}

}  // namespace
}  // namespace dwgf
