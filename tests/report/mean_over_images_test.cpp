#include "report/mean_over_images.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace dwgf {
namespace {

MeanOverImages of(const std::vector<double>& values) {
  MeanOverImages mean;
  for (const double value : values) mean.add(value);
  return mean;
}

TEST(MeanOverImages, HasTheStandardErrorOfTheMean) {
  const MeanOverImages mean = of({1e6 + 1, 1e6 + 2, 1e6 + 4, 1e6 + 9});
  EXPECT_EQ(mean.count(), 4u);
  EXPECT_NEAR(*mean.value(), 1e6 + 4, 1e-9);
  EXPECT_NEAR(*mean.error(), std::sqrt((9.0 + 4 + 0 + 25) / 3 / 4), 1e-9);
}

TEST(MeanOverImages, OfNothingOrOneHasNoError) {
  EXPECT_FALSE(of({}).value());
  EXPECT_FALSE(of({}).error());
  EXPECT_EQ(*of({3}).value(), 3);
  EXPECT_FALSE(of({3}).error());
  EXPECT_FALSE(of({3, std::numeric_limits<double>::infinity()}).error());
  EXPECT_EQ(*of({3, 3, 3}).error(), 0);
}

// Shares of images of different numbers of pixels, which within an image all agree: the error is that of the
// images, not of the pixels.
TEST(MeanOverImages, MatchesTheSpreadOfWeightedMeansOverManyDraws) {
  std::mt19937 engine(1);
  std::uniform_int_distribution<int> pixels(100, 900);
  std::bernoulli_distribution covered(0.8);
  double sum = 0, squares = 0, variance = 0;
  constexpr int trials = 2000;
  for (int trial = 0; trial < trials; ++trial) {
    MeanOverImages mean;
    for (int image = 0; image < 40; ++image) mean.add(covered(engine), pixels(engine));
    sum += *mean.value();
    squares += *mean.value() * *mean.value();
    variance += *mean.error() * *mean.error() / trials;
  }
  const double spread = squares / trials - sum / trials * (sum / trials);
  EXPECT_NEAR(sum / trials, 0.8, 0.01);
  EXPECT_NEAR(variance / spread, 1, 0.15);
}

}  // namespace
}  // namespace dwgf
