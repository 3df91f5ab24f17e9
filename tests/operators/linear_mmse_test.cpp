#include "operators/baselines/linear_mmse.hpp"

#include <operators/operator_cases.hpp>

#include <dwgf/base/error.hpp>

namespace dwgf::test {
namespace {

GaussianImages gaussian(const ImageShape& shape) {
  return {.mean = image_batch(1, shape, 7).squeeze(0).to(at::kFloat),
          .factor = (0.3 * image_batch(5, shape, 8)).to(at::kFloat),
          .residual = (0.01 + 0.05 * image_batch(1, shape, 9).squeeze(0).abs()).to(at::kFloat)};
}

/// A as a dense matrix, observed rows only: [m, n].
at::Tensor matrix_of(const ForwardOperator& forward, const ImageShape& shape) {
  const std::int64_t n = shape.channels * shape.height * shape.width;
  const at::Tensor units = at::eye(n, at::kDouble).view({n, shape.channels, shape.height, shape.width});
  const at::Tensor matrix = forward.apply(units).reshape({n, -1}).t();
  if (!forward.observed().defined()) return matrix;
  return matrix.index_select(0, forward.observed().reshape({-1}).nonzero().squeeze(1));
}

TEST(LinearMmse, IsTheDenseFormula) {
  for (const OperatorCase& one :
       {OperatorCase{"mean:2", {1, 4, 6}}, OperatorCase{"blur:3,1", {3, 4, 5}},
        OperatorCase{"random:0.5", {3, 4, 5}}, OperatorCase{"box:1,1,2,2", {1, 5, 6}},
        OperatorCase{"blur:3,1 | bicubic:2 | random:0.3", {3, 4, 6}}}) {
    const auto forward = make(one);
    const GaussianImages images = gaussian(one.shape);
    constexpr double sigma = 0.1;
    const at::Tensor y = forward->apply(image_batch(1, one.shape, 3)).squeeze(0);
    // In information form, (S^-1 + A^T A / sigma^2)^-1 (S^-1 mu + A^T y / sigma^2): another route to the same
    // number.
    const at::Tensor a = matrix_of(*forward, one.shape);
    const at::Tensor factor = images.factor.to(at::kDouble).flatten(1);
    const at::Tensor precision =
        at::linalg_inv(factor.t().mm(factor) + at::diag(images.residual.to(at::kDouble).flatten()));
    at::Tensor observed = y.flatten();
    if (forward->observed().defined())
      observed = observed.masked_select(forward->observed().flatten().to(at::kBool));
    const at::Tensor all = precision + a.t().mm(a) / (sigma * sigma);
    const at::Tensor expected = at::linalg_solve(
        all, precision.mv(images.mean.to(at::kDouble).flatten()) + a.t().mv(observed) / (sigma * sigma));
    const LinearMmse mmse(images, forward, sigma);
    const at::Tensor found = mmse.estimate(y);
    EXPECT_EQ(found.scalar_type(), at::kDouble);
    EXPECT_LT(largest_difference(found, expected.view(found.sizes())), 1e-10) << one;
    const at::Tensor variance = at::linalg_inv(all).diagonal().view(found.sizes());
    EXPECT_LT(largest_difference(mmse.deviation().square(), variance), 1e-10) << one;
  }
}

TEST(LinearMmse, DoesNotReadWhatIsUnobserved) {
  const OperatorCase one{"box:1,1,2,2", {1, 5, 6}};
  const auto forward = make(one);
  const LinearMmse mmse(gaussian(one.shape), forward, 0.1);
  const at::Tensor y = forward->apply(image_batch(1, one.shape, 3)).squeeze(0);
  const at::Tensor other = y.masked_fill(forward->observed().eq(0), NAN);
  EXPECT_TRUE(at::equal(mmse.estimate(y), mmse.estimate(other)));
}

TEST(LinearMmse, IsExactWithoutNoiseWhereTheOperatorLosesNothing) {
  for (const OperatorCase& one :
       {OperatorCase{"identity", {3, 4, 5}}, OperatorCase{"blur:3,0.5", {1, 6, 7}}}) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(1, one.shape, 3);
    for (const double sigma : {0.0, 1e-6}) {
      const at::Tensor found =
          LinearMmse(gaussian(one.shape), forward, sigma).estimate(forward->apply(x).squeeze(0));
      EXPECT_LT(largest_difference(found, x.squeeze(0)), 1e-6) << one << ", sigma " << sigma;
    }
  }
}

TEST(LinearMmse, IsTheMeanUnderHugeNoise) {
  const OperatorCase one{"mean:2", {1, 4, 6}};
  const GaussianImages images = gaussian(one.shape);
  const auto forward = make(one);
  const at::Tensor y = forward->apply(image_batch(1, one.shape, 3)).squeeze(0);
  EXPECT_LT(largest_difference(LinearMmse(images, forward, 1e6).estimate(y), images.mean.to(at::kDouble)),
            1e-9);
}

TEST(LinearMmse, RefusesWhatItIsNotDefinedFor) {
  const ImageShape shape{1, 4, 4}, large{1, 65, 64};
  EXPECT_THROW(LinearMmse(gaussian(shape), make({"hdr", shape}), 0.1), UsageError);
  EXPECT_THROW(LinearMmse(gaussian(shape), make({"identity", shape}), -1), UsageError);
  EXPECT_THROW(LinearMmse(gaussian(shape), make({"identity", shape}), NAN), UsageError);
  EXPECT_THROW(LinearMmse(gaussian(large), make({"identity", large}), 0.1), UsageError);
}

}  // namespace
}  // namespace dwgf::test
