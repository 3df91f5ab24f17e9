// Noise: its moments, its likelihood against its definition, and what is refused.
#include <cmath>

#include <operators/operator_cases.hpp>

#include <dwgf/operators/noise.hpp>

#include "operators/baselines/noise_level.hpp"

namespace dwgf::test {
namespace {

const ImageShape shape{1, 50, 50};

at::Tensor draw(const std::string& spec, double sigma, double level, std::uint64_t image = 3) {
  const auto forward = make({"identity", shape});
  return make_noise_model(spec, sigma, *forward)
      ->sample(at::full({1, 50, 50}, level, at::kDouble),
               {.seed = 1, .image = image, .purpose = Purpose::measurement});
}

TEST(Noise, HasItsMeanAndVariance) {
  const double count = 2500;
  for (const double level : {-0.9, 0.0, 0.7}) {
    const at::Tensor gaussian = draw("gaussian", 0.2, level);
    EXPECT_NEAR(gaussian.mean().item<double>(), level, 4 * 0.2 / std::sqrt(count));
    EXPECT_NEAR(gaussian.std().item<double>(), 0.2, 0.2 * 0.06);
    for (const double peak : {3.0, 40.0, 1e5}) {
      // Variance of 2 k / peak is 4 l / peak^2 = 2 (level + 1) / peak.
      const at::Tensor counts = draw(formatted("poisson:{}", peak), 0.05, level);
      const double std = std::sqrt(2 * (level + 1) / peak);
      EXPECT_NEAR(counts.mean().item<double>(), level, 4 * std / std::sqrt(count)) << peak;
      EXPECT_NEAR(counts.std().item<double>(), std, std * 0.08) << peak;
    }
    const at::Tensor rounded = draw("uniform:0.25", 0.2, level);
    EXPECT_NEAR(rounded.mean().item<double>(), level, 4 * 0.22 / std::sqrt(count));
    EXPECT_TRUE(at::equal(rounded, at::round(rounded * 4) / 4));
  }
  EXPECT_TRUE(at::equal(draw("poisson:10", 0, 0.3), draw("poisson:10", 0, 0.3)));
  EXPECT_FALSE(at::equal(draw("poisson:10", 0, 0.3), draw("poisson:10", 0, 0.3, 4)));
  EXPECT_EQ(draw("poisson:10", 0, -1.2).max().item<double>(), -1);
}

TEST(Noise, PoissonCountsAreTheQuantilesOfTheirUniforms) {
  // P(k <= 1) = 2 / e = .7358 and P(k <= 2) = .9197 at rate 1; each count has its share.
  const at::Tensor counts = (draw("poisson:2", 0, 0.0) + 1).round();
  for (const auto& [k, share] : {std::pair{0, 0.3679}, {1, 0.3679}, {2, 0.1839}, {3, 0.0613}})
    EXPECT_NEAR(counts.eq(k).to(at::kDouble).mean().item<double>(), share, 0.04) << k;
}

TEST(Noise, GradientIsThatOfTheLogLikelihood) {
  const OperatorCase one{"random:0.3", {2, 6, 7}};
  const auto forward = make(one);
  const at::Tensor a = image_batch(3, one.shape, 1), direction = image_batch(3, one.shape, 2);
  for (const char* spec : {"gaussian", "poisson:30", "uniform:0.3"}) {
    const auto noise = make_noise_model(spec, 0.2, *forward);
    const at::Tensor y = noise->sample(forward->apply(image_batch(1, one.shape, 4)).squeeze(0), {.seed = 2});
    constexpr double step = 1e-6;
    const at::Tensor change =
        (noise->log_likelihood(a + step * direction, y) - noise->log_likelihood(a - step * direction, y)) /
        (2 * step);  // [B]
    const at::Tensor gradient = noise->log_likelihood_gradient(a, y);
    EXPECT_LT(largest_difference((gradient * direction).flatten(1).sum(1), change),
              1e-6 * (1 + change.abs().max().item<double>()))
        << spec;
    EXPECT_EQ((gradient * (1 - forward->observed())).abs().max().item<double>(), 0) << spec;
    EXPECT_EQ(noise->log_likelihood_gradient(a.to(at::kFloat), y).scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(y * (1 - forward->observed()), at::zeros_like(y))) << spec;
  }
}

TEST(Noise, InformationIsTheMeanSquareOfTheGradientAtTheTruth) {
  const auto forward = make({"identity", shape});
  for (const auto& [spec, sigma] :
       {std::pair{"gaussian", 0.2}, {"poisson:30", 0.0}, {"poisson:400", 0.0}, {"uniform:0.1", 0.2}}) {
    for (const double level : {-0.5, 0.4}) {
      const auto noise = make_noise_model(spec, sigma, *forward);
      const at::Tensor a = at::full({1, 1, 50, 50}, level, at::kDouble);
      const at::Tensor gradient = noise->log_likelihood_gradient(a, draw(spec, sigma, level));
      const double expected = gradient.square().mean().item<double>();
      // The mean of 2,500 squares has a relative standard deviation of about sqrt(2 / 2500) = 0.028.
      EXPECT_NEAR(noise->information(a).mean().item<double>(), expected, 0.12 * expected) << spec << level;
    }
    EXPECT_NEAR(make_noise_model(spec, sigma, *forward)->variance(),
                1.0 / make_noise_model(spec, sigma, *forward)
                          ->information(at::zeros({1, 1, 50, 50}, at::kDouble))
                          .mean()
                          .item<double>(),
                1e-9);
  }
  const auto masked = make({"random:0.5", shape});
  const at::Tensor information =
      make_noise_model("gaussian", 0.5, *masked)->information(at::zeros({1, 1, 50, 50}, at::kDouble));
  EXPECT_TRUE(at::equal(information, masked->observed().to(at::kDouble).view_as(information) * 4.0));
}

TEST(Noise, QuantisedLikelihoodIsAProbabilityOverTheLevels) {
  const auto forward = make({"identity", {1, 1, 1}});
  const auto noise = make_noise_model("uniform:0.5", 0.3, *forward);
  double sum = 0;
  for (int level = -40; level <= 40; ++level)
    sum += std::exp(noise
                        ->log_likelihood(at::full({1, 1, 1, 1}, 0.17, at::kDouble),
                                         at::full({1, 1, 1}, 0.5 * level, at::kDouble))
                        .item<double>());
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(Noise, QuantisedGradientStaysFiniteFarOutOnBothSides) {
  const auto forward = make({"identity", {1, 1, 2}});
  const auto noise = make_noise_model("uniform:0.01", 0.001, *forward);
  const at::Tensor y = at::tensor({1.0, -1.0}, at::kDouble).view({1, 1, 2});
  const at::Tensor gradient = noise->log_likelihood_gradient(-y.unsqueeze(0), y).flatten();
  // Far from the cell it is that of the nearer end: (1.995 / 0.001^2).
  EXPECT_NEAR(gradient[0].item<double>(), 1.995e6, 2e4);
  EXPECT_NEAR(gradient[1].item<double>(), -1.995e6, 2e4);
}

TEST(Noise, PoissonLikelihoodIsHighestAtTheCounts) {
  const auto forward = make({"identity", {1, 1, 3}});
  const auto noise = make_noise_model("poisson:20", 0, *forward);
  const at::Tensor y = at::tensor({-0.5, 0.0, 0.9}, at::kDouble).view({1, 1, 3});
  EXPECT_LT(noise->log_likelihood_gradient(y.unsqueeze(0), y).abs().max().item<double>(), 1e-12);
  // Darker than black: still defined, and pushed up where light was counted.
  EXPECT_GT(noise->log_likelihood_gradient(at::full({1, 1, 1, 3}, -1.5, at::kDouble), y).min().item<double>(),
            0);
}

TEST(Noise, RefusesWhatDoesNotGoTogether) {
  const auto image = make({"identity", {1, 4, 4}}), rays = make({"radon:3", {1, 4, 4}});
  for (const char* spec : {"", "gauss", "gaussian:2", "poisson", "poisson:0", "poisson:-3", "poisson:x",
                           "uniform", "uniform:nan", "poisson:1e10"})
    EXPECT_THROW(make_noise_model(spec, 0.1, *image), UsageError) << spec;
  EXPECT_THROW(make_noise_model("poisson:10", 0.1, *rays), UsageError);
  EXPECT_THROW(make_noise_model("uniform:0.1", 0, *image), UsageError);
  EXPECT_NO_THROW(make_noise_model("uniform:0.1", 0.1, *rays));
  const auto exact = make_noise_model("gaussian", 0, *image);
  const at::Tensor y = at::zeros({1, 4, 4}, at::kDouble);
  EXPECT_THROW(exact->log_likelihood_gradient(y.unsqueeze(0), y), UsageError);
  EXPECT_TRUE(at::equal(exact->sample(y, {}), y));
}

TEST(NoiseLevel, IsFoundInASmoothImageWithWhiteNoise) {
  const ImageShape large{3, 64, 48};
  const at::Tensor ramp = at::linspace(-1, 1, 48, at::kDouble).expand({3, 64, 48});
  for (const char* spec : {"identity", "box:10,10,20,20", "random:0.1", "blur:3,1"}) {
    const auto forward = make({spec, large});
    const at::Tensor clean = forward->apply(ramp.unsqueeze(0)).squeeze(0);
    for (const double sigma : {0.01, 0.1, 0.5}) {
      const at::Tensor y = make_noise_model("gaussian", sigma, *forward)->sample(clean, {.seed = 7});
      EXPECT_NEAR(estimate_noise_level(y, *forward), sigma, 0.06 * sigma) << spec;
    }
  }
}

TEST(NoiseLevel, IsRefusedWhereItCannotBeSeen) {
  const auto rays = make({"radon:9", {1, 32, 32}}), holes = make({"random:0.8", {1, 32, 32}}),
             tiny = make({"identity", {1, 2, 300}});
  EXPECT_THROW(estimate_noise_level(at::zeros({1, 9, 47}), *rays), UsageError);
  EXPECT_THROW(estimate_noise_level(at::zeros({1, 32, 32}), *holes), DataError);
  EXPECT_THROW(estimate_noise_level(at::zeros({1, 2, 300}), *tiny), DataError);
}

}  // namespace
}  // namespace dwgf::test
