#include "prior/moment_fit.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

constexpr std::int64_t kValues = 3, kRows = 4, kColumns = 5;
const MomentShape kShape{kValues, kRows, kColumns};

/// A second moment whose variances differ from place to place.
at::Tensor second_moment() {
  at::manual_seed(3);
  const std::int64_t n = kShape.entries();
  const at::Tensor root =
      at::randn({n, n}, at::kDouble) * at::linspace(0.2, 2.0, n, at::kDouble).view({-1, 1});
  return at::matmul(root, root.t()) / static_cast<double>(n);
}

/// J of its parts, a column at a time.
at::Tensor dense(const JointMoments& moments) {
  const std::int64_t n = kShape.entries();
  const at::Tensor unit = at::eye(n, at::kDouble).view({n, kValues, kRows, kColumns});
  return JointCovariance({{1.0, moments.to(at::kDouble)}}).times(unit).flatten(1);
}

double error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).abs().max() / expected.abs().max()).item<double>();
}

TEST(FullFit, OfAllEigenvectorsIsTheMoment) {
  const at::Tensor second = second_moment();
  const JointMoments moments = fit_full(second, kShape, {.rank = 1000, .mix = 0.0});
  EXPECT_LT(error(dense(moments), second), 1e-3);  // float16
  EXPECT_FALSE(moments.root.defined());
}

TEST(FullFit, HasEveryVarianceWhateverItKeeps) {
  const at::Tensor second = second_moment();
  for (const std::int64_t rank : {1, 10, 60}) {
    for (const double mix : {0.0, 0.3, 0.9}) {
      const at::Tensor found = dense(fit_full(second, kShape, {.rank = rank, .mix = mix}));
      EXPECT_LT(error(found.diagonal(), second.diagonal()), 1e-3) << rank << " " << mix;
      const auto [values, vectors] = at::linalg_eigh(found);
      EXPECT_GT(values.min().item<double>(), -1e-6) << rank << " " << mix;
    }
  }
}

TEST(FullFit, ComesNearerWithEveryEigenvector) {
  const at::Tensor second = second_moment();
  double before = 1e9;
  for (const std::int64_t rank : {5, 15, 30, 60}) {
    const at::Tensor found = dense(fit_full(second, kShape, {.rank = rank, .mix = 0.0}));
    const double now = (found - second).square().sum().item<double>();
    EXPECT_LT(now, before) << rank;
    before = now;
  }
}

TEST(ShiftInvariantFit, IsTheMomentOfAStationaryField) {
  // White but for the correlation of a place's values, and of neighbours in a row.
  OffsetMoments moments{at::zeros({7, 7, 2, 2}, at::kDouble)};
  moments.values[3][3] = at::tensor({2.0, 0.5, 0.5, 1.0}, at::kDouble).view({2, 2});
  moments.values[3][4] = moments.values[3][2] = 0.2 * moments.values[3][3];
  const JointMoments fitted = fit_shift_invariant(moments, {.radius = 3, .dropped = 1e-6});
  EXPECT_FALSE(fitted.factor.defined() || fitted.scale.defined());
  EXPECT_EQ(fitted.variance.sizes(), at::IntArrayRef({2, 1, 1}));
  const at::Tensor unit = at::zeros({1, 2, 9, 9}, at::kDouble);
  unit[0][1][4][4] = 1.0;
  const at::Tensor column = JointCovariance({{1.0, fitted.to(at::kDouble)}}).times(unit)[0];
  EXPECT_NEAR(column[1][4][4].item<double>(), 1.0, 1e-3);
  EXPECT_NEAR(column[0][4][4].item<double>(), 0.5, 1e-2);
  EXPECT_NEAR(column[0][4][5].item<double>(), 0.1, 1e-2);
  EXPECT_NEAR(column[1][5][4].item<double>(), 0.0, 1e-2);
}

}  // namespace
}  // namespace dwgf
