#include "prior/convolution_root.hpp"

#include <algorithm>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

/// S of x(p) = sum_u R(u) n(p + u), R [Q, K, k, k], at offsets up to `reach`.
OffsetMoments moments_of(const at::Tensor& kernel, std::int64_t reach) {
  const std::int64_t q = kernel.size(0), k = kernel.size(2);
  OffsetMoments moments{at::zeros({2 * reach + 1, 2 * reach + 1, q, q}, at::kDouble)};
  const std::int64_t far = std::min(reach, k - 1);
  for (std::int64_t y = -far; y <= far; ++y) {
    for (std::int64_t x = -far; x <= far; ++x) {
      // S(delta) = sum_u R(u) R(u - delta)^T
      const auto part = [&](std::int64_t dy, std::int64_t dx) {
        return kernel.narrow(2, std::max<std::int64_t>(0, dy), k - std::abs(dy))
            .narrow(3, std::max<std::int64_t>(0, dx), k - std::abs(dx))
            .flatten(1);
      };
      moments.values[reach + y][reach + x] = at::matmul(part(y, x), part(-y, -x).t());
    }
  }
  return moments;
}

at::Tensor kernel_of(std::int64_t values, std::int64_t white, std::int64_t size) {
  at::manual_seed(4);
  at::Tensor kernel = 0.1 * at::randn({values, white, size, size}, at::kDouble);
  kernel.select(2, size / 2).select(2, size / 2) += at::eye(values, white, at::kDouble);
  return kernel;
}

at::Tensor scaled(const ConvolutionRoot& root, const OffsetMoments& moments) {
  return root.kernel * moments.at_zero().diagonal().sqrt().view({-1, 1, 1, 1});
}

TEST(ConvolutionRoot, HasTheMomentsThatItIsMadeOf) {
  const OffsetMoments moments = moments_of(kernel_of(3, 3, 3), 8);
  const ConvolutionRoot root = convolution_root(moments, 8, 0.0);
  const OffsetMoments again = moments_of(scaled(root, moments), 8);
  EXPECT_LT((again.values - moments.values).abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(at::allclose(again.at_zero().diagonal(), moments.at_zero().diagonal(), 0, 1e-12));
}

TEST(ConvolutionRoot, GivesThoseCorrelationsToWhiteNoise) {
  const OffsetMoments moments = moments_of(kernel_of(2, 2, 3), 8);
  const at::Tensor kernel = scaled(convolution_root(moments, 4, 1e-4), moments);
  at::manual_seed(7);
  const at::Tensor x = at::conv2d(at::randn({1, 2, 400, 400}, at::kDouble), kernel);
  const std::int64_t h = x.size(2), w = x.size(3);
  // Over the pairs (p, p + (1, 0)); one sample's error is about 1 / 400.
  const at::Tensor from = x.narrow(2, 0, h - 1), to = x.narrow(2, 1, h - 1);
  const at::Tensor measured = at::einsum("bqyx,bpyx->qp", {from, to}) / static_cast<double>((h - 1) * w);
  EXPECT_LT((measured - moments.values[8 + 1][8]).abs().max().item<double>(), 0.015);
  EXPECT_GT((measured - measured.t()).abs().max().item<double>(), 0.05) << "this shows no orientation";
}

TEST(ConvolutionRoot, KeepsTheVariancesOfWhatIsNoCovariance) {
  OffsetMoments moments = moments_of(kernel_of(2, 2, 3), 2);
  moments.values[2][3] *= 9;  // and its partner
  moments.values[2][1] *= 9;
  const ConvolutionRoot root = convolution_root(moments, 2, 0.0);
  EXPECT_TRUE(at::allclose(root.kernel.square().sum(at::IntArrayRef{1, 2, 3}), at::ones({2}, at::kDouble)));
}

TEST(ConvolutionRoot, LeavesOutChannelsAndRadiusWithoutEnergy) {
  // Four values that are two white fields each twice, and nearly that.
  at::Tensor kernel = at::zeros({4, 4, 1, 1}, at::kDouble);
  for (int k = 0; k < 4; ++k) {
    kernel[k][k % 2][0][0] = 1.0;
    kernel[k][2 + k % 2][0][0] = k < 2 ? 0.01 : -0.01;
  }
  const OffsetMoments moments = moments_of(kernel, 3);
  const ConvolutionRoot small = convolution_root(moments, 3, 1e-3);
  EXPECT_EQ(small.kernel.sizes(), at::IntArrayRef({4, 2, 1, 1}));
  EXPECT_GT(small.explained.min().item<double>(), 0.999);
  EXPECT_LT(small.explained.max().item<double>(), 1.0);
  EXPECT_EQ(convolution_root(moments, 3, 0.0).kernel.size(1), 4);
}

TEST(ConvolutionRoot, OfValuesWithoutVarianceIsFinite) {
  at::Tensor kernel = kernel_of(2, 2, 3);
  kernel[1].zero_();
  const OffsetMoments moments = moments_of(kernel, 3);
  const at::Tensor root = scaled(convolution_root(moments, 3, 1e-3), moments);
  EXPECT_TRUE(at::isfinite(root).all().item<bool>());
  EXPECT_EQ(root[1].abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace dwgf
