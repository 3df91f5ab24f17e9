#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/levy.hpp>

#include "prior/families/description.hpp"
#include "prior/families/levy_walk.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

constexpr WalkAccuracy kFine{.resolution = 2.0, .reach = 9.5};

struct NamedLaw {
  const char* name;
  LevyLaw law;
  double atom;                            // P(u = 0)
  std::function<double(double)> density;  // of the rest, written out once more
};

const std::vector<NamedLaw>& laws() {
  static const double pi = std::numbers::pi;
  static const std::vector<NamedLaw> all{
      {"gauss",
       {LevyKind::gauss, 0.5},
       0.0,
       [](double u) { return std::exp(-2 * u * u) / std::sqrt(pi / 2); }},
      {"laplace", {LevyKind::laplace, 1.0}, 0.0, [](double u) { return std::exp(-std::abs(u)) / 2; }},
      {"bernoulli_laplace",
       {LevyKind::bernoulli_laplace, 1.0, 0.1},
       0.9,
       [](double u) { return 0.05 * std::exp(-std::abs(u)); }},
      {"student 1", {LevyKind::student, 1.0, 1.0, 1.0}, 0.0, [](double u) { return 1 / (pi * (1 + u * u)); }},
      {"student 2",
       {LevyKind::student, 1.0, 1.0, 2.0},
       0.0,
       [](double u) { return std::pow(2 + u * u, -1.5); }},
      {"student 3",
       {LevyKind::student, 1.0, 1.0, 3.0},
       0.0,
       [](double u) { return 6 * std::sqrt(3) / (pi * std::pow(3 + u * u, 2)); }},
  };
  return all;
}

/// Nodes and weights of panels of [-1, 1]'s 8-point Gauss-Legendre rule, so that the kink at 0 lies between
/// two panels.
struct Rule {
  std::vector<double> at, weight;

  explicit Rule(const std::vector<double>& ends) {
    const double x[] = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363};
    const double w[] = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763};
    for (std::size_t k = 0; k + 1 < ends.size(); ++k) {
      const double half = (ends[k + 1] - ends[k]) / 2, middle = (ends[k + 1] + ends[k]) / 2;
      for (int i = 0; i < 4; ++i) {
        for (const double sign : {-1.0, 1.0}) {
          at.push_back(middle + sign * half * x[i]);
          weight.push_back(half * w[i]);
        }
      }
    }
  }
};

/// Panels of a fifth of tau where r says that u may be, with 0 among their ends.
Rule rule_around(double centre, double tau) {
  std::vector<double> ends{0.0};
  const double step = tau / 5;
  for (double u = centre - 14 * tau; u < centre + 14 * tau; u += step) ends.push_back(u);
  std::sort(ends.begin(), ends.end());
  return Rule(ends);
}

/// E[x | r] of two places by quadrature over both increments, atoms summed.
std::array<double, 2> by_quadrature(const NamedLaw& law, std::array<double, 2> r, double tau) {
  const auto seen = [&](double x, double at) { return std::exp(-0.5 * (x - at) * (x - at) / (tau * tau)); };
  double sum = 0.0, first = 0.0, second = 0.0;
  const auto add = [&](double u1, double mass) {
    const auto add_second = [&](double u2, double share) {
      const double value = mass * share * seen(u1, r[0]) * seen(u1 + u2, r[1]);
      sum += value;
      first += value * u1;
      second += value * (u1 + u2);
    };
    const Rule inner = rule_around(r[1] - u1, tau);
    for (std::size_t j = 0; j < inner.at.size(); ++j)
      add_second(inner.at[j], inner.weight[j] * law.density(inner.at[j]));
    if (law.atom > 0) add_second(0.0, law.atom);
  };
  const Rule outer = rule_around(r[0], tau);
  for (std::size_t i = 0; i < outer.at.size(); ++i)
    add(outer.at[i], outer.weight[i] * law.density(outer.at[i]));
  if (law.atom > 0) add(0.0, law.atom);
  return {first / sum, second / sum};
}

TEST(LevyWalk, AgreesWithQuadrature) {
  for (const NamedLaw& law : laws()) {
    for (const double tau : {0.05, 0.7, 4.0}) {
      for (const std::array<double, 2> r :
           {std::array{0.3, 0.5}, std::array{-1.1, 0.2}, std::array{2.5, 2.4}}) {
        std::array<double, 2> mean{};
        NoisyWalk(law.law, 2, tau, kFine).mean(r, mean);
        const auto exact = by_quadrature(law, r, tau);
        for (std::size_t k = 0; k < 2; ++k) {
          EXPECT_NEAR(mean[k], exact[k], 1e-10 * std::max(1.0, tau)) << law.name << ", tau = " << tau;
        }
      }
    }
  }
}

/// A signal of 64 steps that no law finds impossible, with noise; no random numbers are needed.
at::Tensor example(double tau) {
  const at::Tensor k = at::arange(64, at::kDouble) + 1;
  const at::Tensor u = at::where((k * 1.7).sin() > 0.8, (k * k * 0.37).sin() * 1.5, 0.2 * (k * 2.9).sin());
  return u.cumsum(0) + tau * 1.2 * (k * k * 1.3).sin();
}

std::span<const double> span_of(const at::Tensor& x) {
  return {x.const_data_ptr<double>(), static_cast<std::size_t>(x.numel())};
}

TEST(LevyWalk, IsTheGaussianClosedForm) {
  const at::Tensor lower = at::ones({64, 64}, at::kDouble).tril();
  const at::Tensor prior = 0.25 * at::matmul(lower, lower.t());
  for (const double tau : {0.02, 0.5, 6.0, 60.0}) {
    const at::Tensor r = example(tau), v = (at::arange(64, at::kDouble) * 0.77).cos();
    const at::Tensor gain = at::linalg_solve(prior + tau * tau * at::eye(64, at::kDouble), prior).t();
    std::vector<double> mean(64), covariance(64);
    NoisyWalk({LevyKind::gauss, 0.5}, 64, tau, kFine)
        .mean_and_covariance(span_of(r), span_of(v), mean, covariance);
    const at::Tensor found = at::tensor(mean, at::kDouble), change = at::tensor(covariance, at::kDouble);
    EXPECT_LT((found - at::mv(gain, r)).abs().max().item<double>(), 1e-12 * std::max(1.0, tau)) << tau;
    EXPECT_LT((change / (tau * tau) - at::mv(gain, v)).abs().max().item<double>(), 1e-10) << tau;
  }
}

TEST(LevyWalk, ReachesTheAccuracyThatItPromises) {
  for (const NamedLaw& law : laws()) {
    for (const double tau : {0.02, 0.3, 2.0, 20.0, 150.0}) {
      const at::Tensor r = example(tau);
      std::vector<double> usual(64), fine(64);
      NoisyWalk(law.law, 64, tau).mean(span_of(r), usual);
      NoisyWalk(law.law, 64, tau, kFine).mean(span_of(r), fine);
      for (std::size_t k = 0; k < 64; ++k)
        EXPECT_NEAR(usual[k], fine[k], 5e-6 * tau) << law.name << " " << tau;
    }
  }
}

TEST(LevyWalk, StaysFiniteWhereNoWalkCouldHaveBeen) {
  for (const NamedLaw& law : laws()) {
    std::vector<double> r(64, 0.0), mean(64), covariance(64), v(64, 1.0);
    r[20] = 1e6;
    r[40] = -3.0;
    NoisyWalk(law.law, 64, 0.01).mean_and_covariance(r, v, mean, covariance);
    for (std::size_t k = 0; k < 64; ++k) {
      EXPECT_TRUE(std::isfinite(mean[k]) && std::isfinite(covariance[k])) << law.name;
      EXPECT_NEAR(mean[k], r[k], 0.1) << law.name;
    }
  }
}

std::unique_ptr<Prior> student() {
  LevyProcess process;
  process.law = "student";
  process.freedom = 2.0;
  process.resolution = 1.9;
  process.reach = 9.0;
  return make_levy_process(process, at::kDouble);
}

TEST(LevyDenoiser, HasTheDerivativeOfFiniteDifferences) {
  const auto prior = student();
  for (const std::int64_t time : {60, 400}) {
    const Level level = test::level_at(*prior, time);
    const at::Tensor z = level.signal * at::stack({example(level.noise), -example(0.5)}).view({2, 1, 1, 64});
    const at::Tensor v = (at::arange(128, at::kDouble) * 0.31).sin().view_as(z);
    const Vjp vjp = prior->noise_vjp(z, level);
    EXPECT_TRUE(at::equal(vjp.value, prior->noise(z, level)));
    const at::Tensor pulled = vjp.pull(v);
    // The Jacobian is symmetric, so that its product with v is the derivative along v.
    const double step = 1e-4 * level.noise;
    const at::Tensor slope =
        (8 * (prior->noise(z + step * v, level) - prior->noise(z - step * v, level)) -
         (prior->noise(z + 2 * step * v, level) - prior->noise(z - 2 * step * v, level))) /
        (12 * step);
    EXPECT_LT((pulled - slope).abs().max().item<double>(), 1e-6 * slope.abs().max().item<double>()) << time;
  }
}

TEST(LevyDenoiser, SeesEachSampleAlone) {
  const auto prior = student();
  const Level level = prior->path->last();
  const at::Tensor one = example(0.1).view({1, 1, 1, 64}), other = (0.3 * example(1.0)).view({1, 1, 1, 64});
  const at::Tensor both = prior->noise(at::cat({one, other}), level);
  EXPECT_TRUE(at::equal(both, at::cat({prior->noise(one, level), prior->noise(other, level)})));
}

class LevyFile : public ::testing::Test {
 protected:
  std::unique_ptr<Prior> loaded(const std::string& text) {
    test::write_bytes(folder.path() / "levy.json", text);
    return load_prior(folder.path().string(), {.dtype = at::kDouble});
  }
  test::TemporaryFolder folder;
};

TEST_F(LevyFile, IsReadAndKnown) {
  const auto prior = loaded(R"({"_class_name": "LevyProcess", "law": "laplace", "scale": 2.0, "length": 8})");
  EXPECT_EQ(prior->geometry.canvas(1, 8).latent_width, 8);
  EXPECT_STREQ(family_of(folder.path().string()).name, "levy");
  EXPECT_EQ(describe_prior(folder.path().string()).family, "levy");
  EXPECT_EQ(describe_prior(folder.path().string()).problem, "");
  const auto other = loaded(R"({"_class_name": "LevyProcess", "law": "laplace", "scale": 2.5, "length": 8})");
  EXPECT_NE(prior->sha256, other->sha256);
}

TEST_F(LevyFile, NamesWhatIsWrong) {
  EXPECT_THROW(loaded(R"({"_class_name": "LevyProcess", "law": "poisson"})"), DataError);
  EXPECT_THROW(loaded(R"({"_class_name": "LevyProcess", "scale": 0})"), DataError);
  EXPECT_THROW(loaded(R"({"_class_name": "LevyProcess", "reach": 100})"), DataError);
  LevyProcess process;
  process.share = 0.0;
  EXPECT_THROW(make_levy_process(process, at::kDouble), DataError);
}

}  // namespace
}  // namespace dwgf
