#include "posterior/forecast_scores.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "posterior/calibration.hpp"

namespace dwgf {
namespace {

at::Tensor draws(at::IntArrayRef shape, std::uint32_t stream) {
  at::Tensor values = at::empty(shape, at::kFloat);
  fill_normals({5, 0, stream, 0, Purpose::init},
               {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return values;
}

// The definition: the integral over [-1, 1] of (F(u) - [u >= truth])^2.
TEST(GaussianCrps, IsTheIntegralOfTheDefinition) {
  for (const double mean : {-1.3, -0.4, 0.2, 0.9}) {
    for (const double deviation : {0.02, 0.3, 2.0}) {
      for (const double truth : {-1.0, -0.35, 0.2, 1.0}) {
        constexpr int cells = 200000;
        double integral = 0;
        for (int k = 0; k < cells; ++k) {
          const double u = -1 + 2 * (k + 0.5) / cells;
          const double below = 0.5 * std::erfc(-(u - mean) / deviation * M_SQRT1_2);
          integral += (below - (u >= truth)) * (below - (u >= truth)) * 2 / cells;
        }
        EXPECT_NEAR(gaussian_crps(mean, deviation, truth), integral, 1e-5)
            << mean << ", " << deviation << ", " << truth;
      }
    }
  }
}

// Of a Gaussian well inside of [-1, 1] at its mean: s (sqrt(2) - 1) / sqrt(pi).
TEST(GaussianCrps, HasItsKnownValueAtTheMeanAndIsTheErrorOfAPoint) {
  EXPECT_NEAR(gaussian_crps(0.1, 0.05, 0.1), 0.05 * (std::sqrt(2.0) - 1) / std::sqrt(M_PI), 1e-15);
  EXPECT_DOUBLE_EQ(gaussian_crps(0.25, 0, -0.5), 0.75);
  EXPECT_DOUBLE_EQ(gaussian_crps(3, 0, -1), 2);
  EXPECT_NEAR(gaussian_crps(0.25, 1e-9, -0.5), 0.75, 1e-8);
  EXPECT_THROW(gaussian_crps(0, -1, 0), InternalError);
}

TEST(GaussianCrps, IsTheLimitOfManyParticles) {
  const at::Tensor n = std::get<0>((0.2 * draws({100000}, 1) + 0.1).sort());
  const auto size = static_cast<std::size_t>(n.numel());
  EXPECT_NEAR(ensemble_crps({n.data_ptr<float>(), size}, 0.4), gaussian_crps(0.1, 0.2, 0.4), 2e-3);
}

TEST(EnergyScore, IsItsDefinitionPairByPair) {
  for (const std::int64_t n : {1, 2, 5, 40}) {
    const at::Tensor x = draws({n, 1, 3, 4}, 2), truth = draws({1, 3, 4}, 3);
    const auto apart = [](const at::Tensor& a, const at::Tensor& b) {
      double sum = 0;
      for (std::int64_t k = 0; k < a.numel(); ++k) {
        const double difference = std::clamp(a.flatten()[k].item<double>(), -1.0, 1.0) -
                                  std::clamp(b.flatten()[k].item<double>(), -1.0, 1.0);
        sum += difference * difference;
      }
      return std::sqrt(sum);
    };
    double score = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      score += apart(x[i], truth) / static_cast<double>(n);
      for (std::int64_t j = 0; j < n; ++j) score -= apart(x[i], x[j]) / static_cast<double>(2 * n * n);
    }
    EXPECT_NEAR(energy_score(x, truth), score / std::sqrt(12.0), 1e-12) << n;
  }
}

TEST(EnergyScore, OfOnePixelIsItsCrpsAndOfManyParticlesNearThatOfSome) {
  const at::Tensor x = 0.3 * draws({9, 1}, 4), truth = at::full({1}, 0.2, at::kFloat);
  const at::Tensor sorted = std::get<0>(x.flatten().sort());
  EXPECT_NEAR(energy_score(x, truth), ensemble_crps({sorted.data_ptr<float>(), 9}, truth.item<float>()),
              1e-7);
  const at::Tensor many = 0.3 * draws({3000, 16}, 5), origin = at::zeros({16});
  EXPECT_NEAR(energy_score(many, origin), energy_score(many.slice(0, 0, kMostPaired), origin), 5e-3);
}

// A forecast whose pixels go together as the truth's do is better than one of the same pixels apart.
TEST(EnergyScore, SeesHowPixelsGoTogether) {
  double together = 0, alone = 0;
  for (std::uint32_t k = 0; k < 200; ++k) {
    const auto shared = [](std::int64_t n, std::uint32_t stream) {
      return (0.3 * draws({n, 1}, stream)).expand({n, 8});
    };
    const at::Tensor truth = shared(1, 1000 + k)[0];
    together += energy_score(shared(16, 2000 + k), truth);
    alone += energy_score(0.3 * draws({16, 8}, 3000 + k), truth);
  }
  EXPECT_LT(together, 0.97 * alone);
}

}  // namespace
}  // namespace dwgf
