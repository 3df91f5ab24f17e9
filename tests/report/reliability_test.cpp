// Pixels by their predicted deviation: predicted and found errors, coverage, and what is left out.
#include "report/reliability.hpp"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

/// One row of pixels with these means, deviations and truths; intervals of mean +- 2 deviations.
StoredImage image_of(const std::vector<double>& mean, const std::vector<double>& std,
                     const std::vector<double>& truth, const PosteriorContext& context) {
  const auto row = [](const std::vector<double>& values) {
    return at::tensor(at::ArrayRef<double>(values), at::kDouble).to(at::kFloat).view({1, 1, -1});
  };
  StoredImage image;
  image.mean = row(mean);
  image.std = row(std);
  image.truth = row(truth);
  image.quantiles[context.lower] = image.mean - 2 * image.std;
  image.quantiles[context.upper] = image.mean + 2 * image.std;
  return image;
}

TEST(Reliability, ComparesPredictedAndFoundErrorsByClass) {
  const PosteriorContext context{.particles = 8};
  Reliability reliability(context);
  reliability.add(image_of({0, 0, 0.1, 0}, {0.03, 0.03, 0.2, 0.5}, {0.04, 0.08, 0.3, 1.0}, context));
  reliability.add(image_of({0}, {0.03}, {0.0}, context));
  const auto classes = reliability.take();
  ASSERT_EQ(classes.size(), 2u) << "the truth of 1 is clipped, and its class without a pixel";
  EXPECT_EQ(classes[0].lower, 0.02);
  EXPECT_EQ(classes[0].upper, 0.04);
  EXPECT_EQ(classes[0].pixels, 3);
  EXPECT_NEAR(std::sqrt(*classes[0].squared_deviation.value()), 0.03, 1e-8);
  EXPECT_NEAR(*classes[0].squared_error.value(), (0.04 * 0.04 + 0.08 * 0.08) / 3, 1e-8);
  EXPECT_NEAR(*classes[0].inside.value(), 2.0 / 3, 1e-12) << "0.08 is further than two deviations";
  EXPECT_EQ(classes[1].pixels, 1);
  EXPECT_NEAR(std::sqrt(*classes[1].squared_error.value()), 0.2, 1e-7);
}

TEST(Reliability, AddsTheDecodersError) {
  const PosteriorContext context{.particles = 8, .decoder_error = 0.4};
  Reliability reliability(context);
  reliability.add(image_of({0}, {0.3}, {0.1}, context));
  const auto classes = reliability.take();
  ASSERT_EQ(classes.size(), 1u);
  EXPECT_NEAR(std::sqrt(*classes[0].squared_deviation.value()), 0.5, 1e-7);
}

TEST(Reliability, SaysNothingWithoutTruthOrOfOneParticle) {
  const PosteriorContext many{.particles = 8}, one{.particles = 1};
  Reliability without(many), alone(one);
  StoredImage image = image_of({0}, {0.1}, {0.1}, many);
  alone.add(image);
  image.truth = at::Tensor();
  without.add(image);
  EXPECT_TRUE(without.take().empty());
  EXPECT_TRUE(alone.take().empty());
}

}  // namespace
}  // namespace dwgf
