#include "posterior/stein.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/base/random.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

namespace dwgf {
namespace {

constexpr double kSigma = 0.5;
constexpr std::int64_t kDim = 4;

/// A Gaussian prior, the identity as decoder and operator: the posterior at the smallest time is known.
struct GaussianStudy {
  GaussianStudy() {
    at::set_num_threads(1);
    GaussianMixture mixture;
    mixture.weights = at::ones({1}, at::kDouble);
    mixture.means = at::tensor({0.3, -0.2, 0.8, 0.0}, at::kDouble).view({1, 1, 2, 2});
    mixture.covariances = at::tensor({1.0, 0.5, 2.0, 0.1}, at::kDouble).view({1, 1, 2, 2});
    prior = make_gaussian_mixture(mixture, at::TensorOptions(at::kDouble));
    forward = make_operator("identity", {{1, 2, 2}, 0, 0});
    y = at::tensor({0.5f, 0.1f, -0.4f, 0.2f}).view({1, 2, 2});
    const Level level = prior->path->nearly_clean();
    const double a = level.signal, s = level.noise;
    const at::Tensor variance = mixture.covariances.flatten() + (s / a) * (s / a);
    const at::Tensor precision = variance.reciprocal() + 1 / (kSigma * kSigma);
    deviation = precision.rsqrt();  // [d]
    mean = (mixture.means.flatten() / variance + y.flatten().to(at::kDouble) / (kSigma * kSigma)) / precision;
  }

  /// Independent samples of the posterior, moved and stretched: [N, d].
  at::Tensor samples(std::int64_t count, std::uint64_t seed, double shift = 0.0, double stretch = 1.0) const {
    at::Tensor n = at::empty({count, kDim}, at::kFloat);
    fill_normals({seed, 0, 0, 0, Purpose::init}, {n.data_ptr<float>(), static_cast<std::size_t>(n.numel())});
    return mean + deviation * (n.to(at::kDouble) * stretch + shift);
  }

  SteinDiscrepancy discrepancy(const at::Tensor& z, Collective& group, std::int64_t micro_batch = 1,
                               std::uint64_t image = 0) const {
    FlowState state;
    state.share = share_particles(z.size(0), micro_batch, group.rank(), group.size());
    state.latent_shape = {1, 2, 2};
    state.options = at::TensorOptions(at::kDouble);
    for (std::int64_t b = 0; b < state.share.batches; ++b) {
      ParticleBatch batch;
      batch.first = (state.share.first_batch + b) * micro_batch;
      batch.counted = std::min(micro_batch, z.size(0) - batch.first);
      batch.z = at::zeros({micro_batch, 1, 2, 2}, at::kDouble);
      batch.z.slice(0, 0, batch.counted)
          .copy_(z.slice(0, batch.first, batch.first + batch.counted).view({-1, 1, 2, 2}));
      state.batches.push_back(batch);
    }
    const Problem problem{*prior, *forward, y, {1, 2, 2}, image};
    return stein_discrepancy(problem, state, kSigma, group);
  }

  std::unique_ptr<Prior> prior;
  std::shared_ptr<const ForwardOperator> forward;
  at::Tensor y, mean, deviation;
};

struct Estimate {
  double mean = 0.0, error = 0.0;
};

Estimate over_seeds(const GaussianStudy& study, double shift, double stretch) {
  constexpr int seeds = 100;
  SelfCollective self;
  double sum = 0.0, squares = 0.0;
  for (int seed = 0; seed < seeds; ++seed) {
    const double value =
        study.discrepancy(study.samples(16, static_cast<std::uint64_t>(seed), shift, stretch), self, 16)
            .value;
    sum += value;
    squares += value * value;
  }
  const double mean = sum / seeds;
  return {mean, std::sqrt((squares / seeds - mean * mean) / seeds)};
}

TEST(SteinDiscrepancy, IsZeroOnAverageForThePosteriorAndAboveForOthers) {
  if (Communicator::world().size() > 1) GTEST_SKIP() << "the same on every rank";
  const GaussianStudy study;
  const Estimate exact = over_seeds(study, 0.0, 1.0);
  EXPECT_LT(std::abs(exact.mean), 4 * exact.error);
  for (const auto& [shift, stretch] : {std::pair{0.7, 1.0}, {0.0, 0.5}, {0.0, 3.0}}) {
    const Estimate wrong = over_seeds(study, shift, stretch);
    EXPECT_GT(wrong.mean, 4 * wrong.error) << shift << ", " << stretch;
    EXPECT_GT(wrong.mean, 4 * exact.error) << shift << ", " << stretch;
  }
}

// Of 200 sets of exact samples: the shares of p-values up to 0.1, 0.25, 0.5 and 0.75 are those, within 4
// standard errors of such a share.
TEST(SteinDiscrepancy, HasEvenPValuesForExactSamplesAndSmallOnesForOthers) {
  if (Communicator::world().size() > 1) GTEST_SKIP() << "the same on every rank";
  const GaussianStudy study;
  SelfCollective self;
  constexpr int seeds = 200;
  std::vector<double> exact, narrow;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    exact.push_back(study.discrepancy(study.samples(32, seed), self, 32, seed).p);
    if (seed < 20) narrow.push_back(study.discrepancy(study.samples(32, seed, 0.0, 0.4), self, 32, seed).p);
  }
  for (const double level : {0.1, 0.25, 0.5, 0.75}) {
    const auto below = std::count_if(exact.begin(), exact.end(), [&](double p) { return p <= level; });
    EXPECT_NEAR(static_cast<double>(below) / seeds, level, 4 * std::sqrt(level * (1 - level) / seeds))
        << level;
  }
  for (const double p : narrow) EXPECT_LT(p, 0.05);
}

TEST(SteinDiscrepancy, SameBitsOnEveryLayout) {
  const GaussianStudy study;
  Communicator world = Communicator::world();
  SelfCollective self;
  for (const std::int64_t micro_batch : {1, 2}) {
    const at::Tensor z = study.samples(5, 3);
    const SteinDiscrepancy shared = study.discrepancy(z, world, micro_batch),
                           alone = study.discrepancy(z, self, micro_batch);
    EXPECT_EQ(shared.value, alone.value);
    EXPECT_EQ(shared.p, alone.p);
  }
  EXPECT_TRUE(std::isnan(study.discrepancy(study.samples(1, 1), self).value));
  EXPECT_TRUE(std::isnan(study.discrepancy(study.samples(1, 1), self).p));
}

}  // namespace
}  // namespace dwgf
