// The device's own kernels where the program calls them: how many launches that is, and that their results
// are those of the operators that serve elsewhere.
#include <support/guarded_memory.hpp>

#include <dwgf/flow/fixed_point.hpp>

#include "device_cases.hpp"
#include "flow/draws.hpp"
#include "prior/models/autoencoder_codec.hpp"
#include "prior/nn/attention_vjp.hpp"
#include "prior/nn/blocks.hpp"

namespace dwgf::test {
namespace {

constexpr DrawAddress kAddress{.seed = 5, .image = 9, .particle = 3, .step = 7, .purpose = Purpose::noising};

at::Tensor on_device(const at::Tensor& values) {
  return values.to(guarded::device());
}

template <class F>
std::uint64_t operators_of(const F& f) {
  guarded::reset_counts();
  f();
  return guarded::counts().operators;
}

/// Which they were, for a message.
std::string calls() {
  std::string text;
  for (const auto& [name, count] : guarded::counts().operator_calls)
    text += " " + name + " " + std::to_string(count);
  return text;
}

TEST(SerialOwnKernels, ADrawIsOneLaunchAndTheAddressedNumbers) {
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{2, 3, 5, 7}, {1, 4, 8, 8}, {3, 1}}) {
      const at::Tensor like = at::empty(shape, type);
      const at::Tensor there = on_device(like);
      at::Tensor drawn;
      EXPECT_LE(operators_of([&] { drawn = normals_like(there, kAddress); }), type == at::kDouble ? 2u : 1u);
      EXPECT_EQ(drawn.scalar_type(), type);
      EXPECT_TRUE(at::equal(drawn.cpu(), normals_like(like, kAddress)));
    }
  }
  EXPECT_EQ(normals_like(on_device(at::empty({0, 4})), kAddress).numel(), 0);
}

TEST(SerialOwnKernels, MomentsAreTwoLaunchesAndTheSameBits) {
  at::Tensor values = waves({3, 4, 5, 5}, at::kFloat) * 3.0;
  for (const bool broken : {false, true}) {
    if (broken) values[1][0][0][0] = NAN;
    EnsembleMoments here(100, 2), there(100, 2, guarded::device());
    here.add(values, 2);
    const at::Tensor moved = on_device(values);
    EXPECT_EQ(operators_of([&] { there.add(moved, 2); }), 2u);
    at::Tensor mean, variance;
    EXPECT_EQ(operators_of([&] { mean = there.mean(), variance = there.variance(); }), 2u);
    EXPECT_TRUE(at::allclose(mean.cpu(), here.mean(), 0, 0, /*equal_nan=*/true));
    EXPECT_TRUE(at::allclose(variance.cpu(), here.variance(), 0, 0, /*equal_nan=*/true));
  }
}

/// The same norm twice: by the device's kernels there, by the host's loops or LibTorch here.
struct Norms {
  Norms(std::int64_t groups, std::int64_t channels, at::ScalarType type)
      : here(groups, channels, 1e-5, at::TensorOptions(type)),
        there(groups, channels, 1e-5, at::TensorOptions(type).device(guarded::device())) {
    for (auto& item : here.named_parameters()) {
      item.value().copy_(waves({channels}, at::kDouble, item.key() == "bias" ? 0.7 : 0.3) + 0.5);
      there.named_parameters()[item.key()].copy_(item.value());
    }
  }
  GroupNorm here, there;
};

TEST(SerialOwnKernels, ANormIsTwoLaunchesAndSoIsItsProduct) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const double tolerance = type == at::kFloat ? 2e-6 : 1e-2;
    const Norms norm(4, 12, type);
    const at::Tensor x = in_network_format(waves({2, 12, 9, 7}, type)), x_there = on_device(x);
    const at::Tensor c = in_network_format(waves({2, 12, 9, 7}, type, 0.53)), more = c * 0.5;
    const auto expected = norm.here.activated_with_statistics(x);
    GroupNorm::WithStatistics found;
    EXPECT_EQ(operators_of([&] { found = norm.there.activated_with_statistics(x_there); }), 2u);
    EXPECT_LT(relative_difference(found.value, expected.value), tolerance);
    const at::Tensor c_there = on_device(c), more_there = on_device(more);
    at::Tensor gradient;
    EXPECT_EQ(operators_of([&] {
                gradient = norm.there.activated_vjp(c_there, x_there, found.statistics, more_there);
              }),
              2u);
    EXPECT_LT(relative_difference(gradient, norm.here.activated_vjp(c, x, expected.statistics, more)),
              tolerance);
  }
}

TEST(SerialOwnKernels, AnOffsetIsAddedInTheSamePass) {
  const Norms norm(4, 12, at::kFloat);
  const at::Tensor x = in_network_format(waves({2, 12, 9, 7}, at::kFloat));
  for (const at::Tensor& offset :
       {waves({12}, at::kFloat), waves({1, 12}, at::kFloat), waves({2, 24}, at::kFloat).slice(1, 6, 18)}) {
    const at::Tensor x_there = on_device(x), offset_there = on_device(offset);
    GroupNorm::OfSum found;
    EXPECT_EQ(operators_of([&] { found = norm.there.activated_sum(x_there, offset_there); }), 2u);
    const at::Tensor sum = x + (offset.dim() == 1 ? offset.unsqueeze(0) : offset).unsqueeze(2).unsqueeze(3);
    EXPECT_LT(relative_difference(found.sum, sum), 1e-6);
    EXPECT_LT(relative_difference(found.value, norm.here.activated(sum)), 2e-6);
  }
}

TEST(SerialOwnKernels, ADoublingIsOnTheCoarseGridInTwoCallsAndSoIsItsProduct) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    Upsample here(5, at::TensorOptions(type)), there(5, at::TensorOptions(type).device(guarded::device()));
    for (auto& item : here.named_parameters()) {
      item.value().copy_(waves(item.value().sizes(), at::kDouble) * 0.3);
      there.named_parameters()[item.key()].copy_(item.value());
    }
    const at::Tensor x = in_network_format(waves({2, 5, 4, 3}, type)), x_there = on_device(x);
    const at::Tensor c = in_network_format(waves({2, 5, 8, 6}, type, 0.53)), c_there = on_device(c);
    const Vjp expected = here.vjp(x);
    there.vjp(x_there).pull(c_there);  // makes the weights
    Vjp found;
    EXPECT_EQ(operators_of([&] { found = there.vjp(x_there); }), 2u);
    const double tolerance = type == at::kFloat ? 1e-6 : 1e-2;
    EXPECT_LT(relative_difference(found.value, expected.value), tolerance);
    at::Tensor gradient;
    EXPECT_EQ(operators_of([&] { gradient = found.pull(c_there); }), 2u) << calls();
    EXPECT_LT(relative_difference(gradient, expected.pull(c)), tolerance);
  }
}

TEST(SerialOwnKernels, AWideHeadAttendsByMatrixProducts) {
  const at::Tensor q = waves({3, 1, 10, 260}, at::kFloat), k = waves({3, 1, 10, 260}, at::kFloat, 0.53),
                   v = waves({3, 1, 10, 260}, at::kFloat, 0.71);
  const at::Tensor expected = at::scaled_dot_product_attention(q, k, v);
  for (const std::int64_t at_once : {1, 200, 10000})
    EXPECT_LT(relative_difference(attention(q, k, v, Kernels::device, at_once), expected), 1e-6);
}

TEST(SerialOwnKernels, TheFreeMemoryOfADeviceDecidesWhetherTheDecoderIsRunTwice) {
  auto& memory = guarded::Memory::instance();
  const std::size_t limit = memory.limit();
  EXPECT_EQ(plain_gradient_limit(at::kCPU), kPlainGradientBytes);
  memory.set_limit(memory.in_use() + (std::size_t{32} << 30));
  EXPECT_EQ(plain_gradient_limit(guarded::device()), std::uint64_t{16} << 30);
  memory.set_limit(memory.in_use() + (std::size_t{1} << 30));
  EXPECT_EQ(plain_gradient_limit(guarded::device()), kPlainGradientBytes);
  memory.set_limit(limit);
}

TEST(SerialOwnKernels, LeaveToLibTorchWhatTheyDoNotServe) {
  const Norms wide(4, 12, at::kDouble);
  const at::Tensor x = waves({2, 12, 5, 3}, at::kDouble);
  EXPECT_LT(relative_difference(wide.there.activated(on_device(x)), wide.here.activated(x)), 1e-12);
  const Norms norm(4, 12, at::kFloat);
  const at::Tensor rows = waves({2, 12, 5, 3}, at::kFloat);  // channels far apart
  EXPECT_LT(relative_difference(norm.there.activated(on_device(rows)), norm.here.activated(rows)), 2e-6);
}

}  // namespace
}  // namespace dwgf::test
