// A method that is not in the table: what solve() does for it is what it does for every method.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "support/gradient_descent.hpp"

namespace dwgf {
namespace {

struct Everything final : ForwardOperator {
  at::Tensor apply(const at::Tensor& x) const override { return x; }
  bool is_linear() const override { return true; }
  std::vector<std::int64_t> measurement_shape() const override { return {1, 2, 3}; }
};

TEST(OwnMethod, HalvesTheResidualInEveryStepWithTheSameBitsOnAllRanksAsOnOne) {
  const auto prior = make_gaussian_mixture({.weights = at::ones({1}, at::kDouble),
                                            .means = at::zeros({1, 1, 2, 3}, at::kDouble),
                                            .covariances = at::ones({1, 1, 2, 3}, at::kDouble),
                                            .decoder = {},
                                            .offset = {},
                                            .schedule = {}},
                                           at::TensorOptions(at::kDouble));
  const Everything everything;
  const Problem problem{*prior, everything, 0.1 * at::arange(6).view({1, 2, 3}).to(at::kFloat), {1, 2, 3}};
  FlowOptions options{.particles = 5, .steps = 4, .micro_batch = 2, .rate = 3.0};  // half of m = 6
  options.data = {.decoder_std = 0.0, .consistency = 0.0};
  Communicator world = Communicator::world();
  SelfCollective self;
  FlowObserver nobody;
  const Solution shared = solve(problem, options, kGradientDescent, {world, world}, nobody);
  const Solution alone = solve(problem, options, kGradientDescent, {self, self}, nobody);

  const std::vector<double>& misfit = alone.diagnostics.named("misfit");
  ASSERT_EQ(misfit.size(), 4u);
  for (std::size_t k = 1; k < misfit.size(); ++k) EXPECT_NEAR(misfit[k], 0.25 * misfit[k - 1], 1e-12);
  EXPECT_EQ(alone.diagnostics.named("prior_gradient"), std::vector<double>(4, 0.0));
  EXPECT_EQ(shared.diagnostics.series, alone.diagnostics.series);
  for (std::size_t b = 0; b < shared.state.batches.size(); ++b) {
    const ParticleBatch& batch = shared.state.batches[b];
    EXPECT_TRUE(at::equal(batch.z, alone.state.batches[static_cast<std::size_t>(batch.first / 2)].z));
  }
}

}  // namespace
}  // namespace dwgf
