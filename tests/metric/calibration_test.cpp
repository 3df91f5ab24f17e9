#include "posterior/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

namespace dwgf {
namespace {

std::vector<float> draws(std::uint64_t image, std::size_t count) {
  std::vector<float> values(count);
  fill_normals({7, image, 0, 0, Purpose::init}, values);
  return values;
}

std::vector<float> sorted(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return values;
}

TEST(EnsembleQuantile, StandsAtPositionPTimesNPlusOne) {
  const std::vector<float> four = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(ensemble_quantile(four, 0.2), 1);
  EXPECT_DOUBLE_EQ(ensemble_quantile(four, 0.5), 3);
  EXPECT_DOUBLE_EQ(ensemble_quantile(four, 0.7), 6);
  EXPECT_DOUBLE_EQ(ensemble_quantile(four, 0.05), 1);  // position 0.25
  EXPECT_DOUBLE_EQ(ensemble_quantile(four, 0.95), 8);
  EXPECT_DOUBLE_EQ(ensemble_quantile(std::vector<float>{3}, 0.05), 3);
}

// What the position is chosen for: another value of the same kind lies between the quantiles as often as they
// say, whatever N. Between whole positions exactly so for uniform values.
TEST(EnsembleQuantile, IntervalsOfExchangeableValuesHoldTheirLevel) {
  constexpr int trials = 20000;
  for (const std::size_t n : {1, 2, 4, 8, 19, 32}) {
    for (const double level : {0.5, 0.9}) {
      const double low = 0.5 * (1 - level), high = 0.5 * (1 + level);
      int inside = 0;
      for (int trial = 0; trial < trials; ++trial) {
        std::vector<double> uniform(n + 1);
        fill_uniforms({7, n, static_cast<std::uint32_t>(trial), 0, Purpose::mask}, uniform);
        std::vector<float> values(uniform.begin(), uniform.end());
        const float other = values.back();
        values.pop_back();
        values = sorted(std::move(values));
        inside += ensemble_quantile(values, low) <= other && other <= ensemble_quantile(values, high);
      }
      const double expected = attainable_level(static_cast<std::int64_t>(n), low, high);
      EXPECT_NEAR(static_cast<double>(inside) / trials, expected, 4 * std::sqrt(0.25 / trials))
          << n << " particles, level " << level;
    }
  }
}

TEST(AttainableLevel, IsTheLevelOrWhatTheExtremesGive) {
  EXPECT_DOUBLE_EQ(attainable_level(32, 0.05, 0.95), 0.9);
  EXPECT_DOUBLE_EQ(attainable_level(8, 0.05, 0.95), 7.0 / 9.0);
  EXPECT_DOUBLE_EQ(attainable_level(1, 0.05, 0.95), 0);
  EXPECT_DOUBLE_EQ(attainable_level(9, 0.05, 0.5), 0.4);
}

TEST(MeanPairDifference, IsThatOfAllPairs) {
  for (const std::size_t n : {2, 3, 8, 33}) {
    const std::vector<float> values = sorted(draws(n, n));
    double sum = 0;
    for (const float a : values)
      for (const float b : values) sum += std::abs(double{a} - double{b});
    EXPECT_NEAR(mean_pair_difference(values), sum / static_cast<double>(n * (n - 1)), 1e-12);
  }
  EXPECT_EQ(mean_pair_difference(std::vector<float>{5}), 0);
  EXPECT_EQ(mean_pair_difference(std::vector<float>{5, 5, 5}), 0);
}

TEST(EnsembleCrps, IsTheIntegralOfTheDefinition) {
  for (const std::size_t n : {1, 2, 5, 16}) {
    std::vector<float> values = sorted(draws(50 + n, n));
    for (float& value : values) value *= 0.3f;
    for (const double truth : {-0.9, -0.1, 0.0, 0.4}) {
      constexpr int cells = 200000;
      double integral = 0;
      for (int k = 0; k < cells; ++k) {
        const double u = -1 + 2 * (k + 0.5) / cells;
        const double below = static_cast<double>(std::count_if(
            values.begin(), values.end(), [&](float x) { return std::clamp(double{x}, -1.0, 1.0) <= u; }));
        const double difference = below / static_cast<double>(n) - (u >= truth);
        integral += difference * difference * 2 / cells;
      }
      EXPECT_NEAR(ensemble_crps(values, truth), integral, 1e-4) << n << " particles, truth " << truth;
    }
  }
}

TEST(EnsembleCrps, OfOneParticleIsTheAbsoluteErrorAndNeverNegative) {
  EXPECT_DOUBLE_EQ(ensemble_crps(std::vector<float>{0.25f}, -0.5), 0.75);
  EXPECT_DOUBLE_EQ(ensemble_crps(std::vector<float>{3}, -1), 2);  // clipped
  EXPECT_EQ(ensemble_crps(std::vector<float>(7, 0.1f), 0.1f), 0);
}

TEST(NormalQuantile, InvertsTheDistribution) {
  EXPECT_NEAR(normal_quantile(0.95), 1.6448536269514722, 1e-12);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_EQ(normal_quantile(0.5), 0);
  for (const double p : {1e-12, 1e-5, 0.01, 0.3, 0.8, 0.999})
    EXPECT_NEAR(0.5 * std::erfc(-normal_quantile(p) / std::sqrt(2.0)) / p, 1, 1e-9) << p;
}

TEST(Quantile, OfNothingOrAtTheEndsIsRefused) {
  const std::vector<float> one{0.5f};
  EXPECT_THROW(ensemble_quantile({}, 0.5), InternalError);
  EXPECT_THROW(ensemble_quantile(one, 1.0), InternalError);
  EXPECT_THROW(normal_quantile(0.0), InternalError);
  EXPECT_THROW(ensemble_crps({}, 0.0), InternalError);
}

TEST(Widened, AddsVariancesOfGaussiansAndNothingWithoutAnError) {
  const double z = normal_quantile(0.95);
  const Interval wide = widened({0.1 - 0.3 * z, 0.1 + 0.3 * z}, 0.1, 0.4, 0.9);
  EXPECT_NEAR(wide.lower, 0.1 - 0.5 * z, 1e-12);
  EXPECT_NEAR(wide.upper, 0.1 + 0.5 * z, 1e-12);
  const Interval same = widened({-0.2, 0.7}, 0.1, 0.0, 0.9);
  EXPECT_DOUBLE_EQ(same.lower, -0.2);
  EXPECT_DOUBLE_EQ(same.upper, 0.7);
}

TEST(Coverage, TellsClippedPixelsApart) {
  Coverage coverage;
  coverage.add(0.5, {0.4, 0.6});
  coverage.add(0.5, {0.6, 0.7});
  coverage.add(0.989, {0, 1});
  coverage.add(-1, {-1.3, -1.2});  // clipped, the interval is [-1, -1]
  coverage.add(0.99, {0, 0.5});
  EXPECT_EQ(coverage.inner, 3);
  EXPECT_EQ(coverage.inner_covered, 2);
  EXPECT_EQ(coverage.clipped, 2);
  EXPECT_EQ(coverage.clipped_covered, 1);
}

}  // namespace
}  // namespace dwgf
