#include "flow/terms/ensemble_gaussian.hpp"

#include <algorithm>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

at::Tensor waves(std::int64_t n, std::int64_t d) {
  return (0.37 * at::arange(n * d, at::kDouble).square().fmod(1009.0)).sin().reshape({n, d}) * 1.5 + 0.3;
}

/// S and Ledoit and Wolf's alpha by their definitions.
struct Definition {
  at::Tensor mean, moment;
  double alpha = 0.0;
};

Definition definition_of(const at::Tensor& rows, CovarianceKind kind) {
  const double n = static_cast<double>(rows.size(0)), d = static_cast<double>(rows.size(1));
  Definition made{rows.mean(0), {}, 0.0};
  const at::Tensor x = rows - made.mean;
  made.moment = at::matmul(x.t(), x) / (n - 1.0);
  if (kind == CovarianceKind::full) return made;
  const at::Tensor target = at::eye(rows.size(1), at::kDouble) * (made.moment.trace() / d);
  double scatter = 0.0;
  for (std::int64_t k = 0; k < rows.size(0); ++k)
    scatter += (at::outer(x[k], x[k]) - made.moment).square().sum().item<double>() / (n * n);
  made.alpha = std::min(1.0, scatter / (made.moment - target).square().sum().item<double>());
  made.moment = made.alpha * target + (1.0 - made.alpha) * made.moment;
  return made;
}

TEST(EnsembleGaussian, IsItsDefinitionWithMoreAndWithFewerRowsThanDimensions) {
  for (const auto& [n, d] : {std::pair{40, 5}, {6, 5}, {5, 5}, {4, 9}, {2, 7}}) {
    for (const CovarianceKind kind : {CovarianceKind::full, CovarianceKind::lowrank}) {
      const at::Tensor rows = waves(n, d), probes = waves(3, d) - 0.7;
      const Definition expected = definition_of(rows, kind);
      const EnsembleGaussian found(rows, kind);
      EXPECT_NEAR(found.shrinkage(), expected.alpha, 1e-10) << n << " " << d;
      EXPECT_TRUE(at::allclose(found.mean(), expected.mean, 1e-12, 1e-13));
      EXPECT_TRUE(at::allclose(found.apply(probes, [](const at::Tensor& v) { return v; }),
                               at::matmul(probes, expected.moment), 1e-9, 1e-10))
          << n << " " << d;
      const double a = 0.8, s = 0.4;
      const at::Tensor noised = a * a * expected.moment + s * s * at::eye(d, at::kDouble);
      EXPECT_TRUE(at::allclose(found.score(probes, a, s),
                               -at::matmul(probes - a * expected.mean, at::linalg_inv(noised)), 1e-9, 1e-10))
          << n << " " << d;
    }
  }
}

TEST(EnsembleGaussian, ShrinksFewRowsMuchAndManyHardly) {
  EXPECT_GT(EnsembleGaussian(waves(4, 64), CovarianceKind::lowrank).shrinkage(), 0.25);
  EXPECT_LT(
      EnsembleGaussian(waves(4000, 4) * at::arange(1, 5, at::kDouble), CovarianceKind::lowrank).shrinkage(),
      0.02);
}

TEST(EnsembleGaussian, OfOneRowHasNoSpread) {
  const at::Tensor row = waves(1, 4);
  const EnsembleGaussian one(row, CovarianceKind::lowrank);
  EXPECT_EQ(one.mean_variance(), 0.0);
  EXPECT_TRUE(at::allclose(one.score(row + 2.0, 1.0, 0.5), at::full({1, 4}, -8.0, at::kDouble), 1e-12, 0));
}

}  // namespace
}  // namespace dwgf
