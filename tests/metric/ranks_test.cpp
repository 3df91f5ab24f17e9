#include "posterior/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

namespace dwgf {
namespace {

std::vector<float> draws(std::uint32_t stream, std::size_t count) {
  std::vector<float> values(count);
  fill_normals({11, 0, stream, 0, Purpose::init}, values);
  return values;
}

TEST(Rank, CountsParticlesBelowAndLeavesTiesOpen) {
  const std::vector<float> four = {-0.5f, 0.0f, 0.0f, 0.5f};
  const auto span = [&](double truth) {
    const RankSpan rank = rank_of(four, truth);
    return std::pair(5 * rank.lower, 5 * rank.upper);
  };
  EXPECT_EQ(span(-0.7), std::pair(0.0, 1.0));
  EXPECT_EQ(span(-0.2), std::pair(1.0, 2.0));
  EXPECT_EQ(span(0.0), std::pair(1.0, 4.0));
  EXPECT_EQ(span(0.9), std::pair(4.0, 5.0));
  // At the ends of the scale all saturate alike.
  const std::vector<float> saturated = {0.5f, 1.2f, 1.5f};
  EXPECT_EQ(rank_of(saturated, 1.1).lower, 0.25);
  EXPECT_EQ(rank_of(saturated, 1.1).upper, 1.0);
  EXPECT_THROW(rank_of({}, 0), InternalError);
}

TEST(RankHistogram, SpreadsARankOverTheBinsThatItTouches) {
  RankHistogram histogram(4);
  histogram.add({0.0, 0.25});
  histogram.add({0.25, 1.0});
  histogram.add({0.125, 0.375});
  const std::vector<double> shares = histogram.shares();
  EXPECT_NEAR(shares[0], 1.5 / 3, 1e-15);
  EXPECT_NEAR(shares[1], (1 / 3.0 + 0.5) / 3, 1e-15);
  EXPECT_NEAR(shares[3], 1 / 9.0, 1e-15);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-15);
  EXPECT_EQ(RankHistogram(3).shares(), std::vector<double>(3, 0.0));
}

/// Of truths ~ N(shift, 1) among particles ~ N(0, spread^2).
std::vector<double> histogram_of(std::size_t particles, double shift, double spread) {
  RankHistogram histogram(std::min<std::int64_t>(static_cast<std::int64_t>(particles) + 1, 20));
  for (std::uint32_t k = 0; k < 20000; ++k) {
    std::vector<float> values = draws(k, particles + 1);
    const double truth = 0.2 * values.back() + shift;
    values.pop_back();
    for (float& value : values) value *= static_cast<float>(0.2 * spread);
    std::sort(values.begin(), values.end());
    histogram.add(rank_of(values, truth));
  }
  return histogram.shares();
}

TEST(RankHistogram, IsLevelForExchangeableParticlesWhateverTheirNumber) {
  for (const std::size_t n : {1, 4, 8, 31, 50}) {
    const std::vector<double> shares = histogram_of(n, 0, 1);
    const auto bins = static_cast<double>(shares.size());
    for (const double share : shares) EXPECT_NEAR(share, 1 / bins, 4 * std::sqrt(1 / bins / 20000)) << n;
    EXPECT_NEAR(rank_bias(shares), 0, 0.02);
    EXPECT_NEAR(rank_dispersion(shares), 0, 0.04);
  }
}

TEST(RankHistogram, TellsTooLittleSpreadFromTooMuchAndFromABias) {
  EXPECT_GT(rank_dispersion(histogram_of(16, 0, 0.5)), 0.3);
  EXPECT_LT(rank_dispersion(histogram_of(16, 0, 2)), -0.3);
  EXPECT_GT(rank_bias(histogram_of(16, 0.1, 1)), 0.1);
  EXPECT_LT(rank_bias(histogram_of(16, -0.1, 1)), -0.1);
  // Of the definition: all of the mass at one end, and at both.
  EXPECT_NEAR(rank_bias(std::vector<double>{0, 0, 0, 1}), 0.75, 1e-15);
  EXPECT_NEAR(rank_dispersion(std::vector<double>{0.5, 0, 0, 0.5}), 12 * (0.375 * 0.375 + 1.0 / 192) - 1,
              1e-12);
  EXPECT_NEAR(rank_dispersion(std::vector<double>(7, 1 / 7.0)), 0, 1e-12);
}

/// Histograms of images whose 5 regions each have one rank for all their pixels.
std::vector<std::vector<double>> dependent(std::uint32_t trial, std::size_t images, double tilt) {
  std::vector<std::vector<double>> histograms;
  for (std::size_t k = 0; k < images; ++k) {
    std::vector<double> uniform(10), shares(9);
    fill_uniforms({3, trial, static_cast<std::uint32_t>(k), 0, Purpose::mask}, uniform);
    const double whole = uniform[5] + uniform[6] + uniform[7] + uniform[8] + uniform[9];
    for (std::size_t region = 0; region < 5; ++region)
      shares[static_cast<std::size_t>(9 * std::pow(uniform[region], 1 + tilt))] +=
          uniform[5 + region] / whole;
    histograms.push_back(shares);
  }
  return histograms;
}

// However the pixels of an image hang together, p-values of level histograms are even: 200 of them, whose
// shares have standard errors of at most 0.035.
TEST(Evenness, HasEvenPValuesForLevelHistogramsOfDependentPixels) {
  double mean = 0, small = 0, quarter = 0;
  constexpr int trials = 200;
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const double p = *evenness(dependent(trial, 16, 0));
    mean += p / trials;
    small += (p <= 0.05) / double{trials};
    quarter += (p <= 0.25) / double{trials};
  }
  EXPECT_NEAR(mean, 0.5, 0.1);
  EXPECT_LT(small, 0.1);
  EXPECT_NEAR(quarter, 0.25, 0.12);
}

TEST(Evenness, IsSmallForTiltedOnesAndUnknownForFewImages) {
  for (std::uint32_t trial = 0; trial < 10; ++trial) EXPECT_LT(*evenness(dependent(trial, 64, 1)), 0.02);
  EXPECT_FALSE(evenness(dependent(0, 7, 0)));
  EXPECT_FALSE(evenness({}));
}

}  // namespace
}  // namespace dwgf
