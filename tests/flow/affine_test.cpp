#include "flow/methods/affine.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

at::Tensor waves(std::int64_t n, std::int64_t d, double phase) {
  return (0.37 * at::arange(n * d, at::kDouble).square().fmod(1009.0) + phase).sin().reshape({n, d});
}

/// The gradient of KL(mu || N(m, H^-1)) at the rows, mu the Gaussian of their moments.
at::Tensor gradient_of(const at::Tensor& z, const at::Tensor& h, const at::Tensor& m) {
  const at::Tensor away = z - z.mean(0);
  const at::Tensor c = at::matmul(away.t(), away) / static_cast<double>(z.size(0) - 1);
  return at::matmul(z - m, h) - at::matmul(away, at::linalg_inv(c));
}

class AffineStep : public ::testing::Test {
 protected:
  const at::Tensor z = waves(12, 3, 0.0), m = waves(1, 3, 1.0)[0];
  const at::Tensor h = at::matmul(waves(9, 3, 0.3).t(), waves(9, 3, 0.3)) * at::outer(scales, scales);
  inline static const at::Tensor scales = at::tensor({0.1, 1.0, 10.0}, at::kDouble);
};

TEST_F(AffineStep, HalvesTheDistanceToAGaussianPosteriorsPrecisionWhateverItsCondition) {
  const double step = 0.5;
  const at::Tensor moved = affine_step(z, gradient_of(z, h, m), step);
  const at::Tensor before = at::linalg_inv(at::cov(z.t())), after = at::linalg_inv(at::cov(moved.t()));
  EXPECT_TRUE(at::allclose(after, (1.0 - step) * before + step * h, 1e-7, 1e-9));
}

TEST_F(AffineStep, RestsAtTheGaussianPosterior) {
  at::Tensor at_rest = z;
  for (int k = 0; k < 60; ++k) at_rest = affine_step(at_rest, gradient_of(at_rest, h, m), 0.5);
  EXPECT_TRUE(at::allclose(at_rest.mean(0), m, 1e-9, 1e-9));
  EXPECT_TRUE(at::allclose(at::matmul(at::cov(at_rest.t()), h), at::eye(3, at::kDouble), 1e-7, 1e-7));
}

TEST_F(AffineStep, CommutesWithLinearMapsOfTheLatents) {
  const at::Tensor map = waves(3, 3, 0.9) + 2.0 * at::eye(3, at::kDouble);
  const at::Tensor g = waves(12, 3, 2.0);  // any gradient, with a part that is not linear
  const at::Tensor mapped = affine_step(at::matmul(z, map), at::matmul(g, at::linalg_inv(map).t()), 0.4);
  EXPECT_TRUE(at::allclose(mapped, at::matmul(affine_step(z, g, 0.4), map), 1e-8, 1e-9));
}

TEST_F(AffineStep, MovesNobodyFartherThanTheEnsembleIsWideForWhatIsNotLinear) {
  at::Tensor g = at::zeros_like(z);
  g[0][0] = 1e6;
  g[1][0] = -1e6;
  const at::Tensor moved = affine_step(z, g, 0.5);
  EXPECT_TRUE(at::isfinite(moved).all().item<bool>());
}

}  // namespace
}  // namespace dwgf
