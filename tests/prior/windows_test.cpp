#include "prior/windows.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

at::Tensor normals(at::IntArrayRef shape) {
  return at::randn(shape, at::kDouble);
}

TEST(AxisWindows, CoverEverythingWithWeightsThatSumToOne) {
  for (const std::int64_t length : {1, 7, 8, 9, 15, 40, 129}) {
    for (const std::int64_t overlap : {0, 1, 2, 7}) {
      const AxisWindows windows = axis_windows(length, 8, overlap);
      std::vector<double> sums(static_cast<std::size_t>(length), 0.0);
      for (std::size_t i = 0; i < windows.starts.size(); ++i) {
        if (i > 0) {
          EXPECT_GT(windows.starts[i], windows.starts[i - 1]);
          EXPECT_GE(windows.starts[i - 1] + windows.size - windows.starts[i], overlap);
        }
        for (std::int64_t u = 0; u < windows.size; ++u) {
          const double weight = windows.weights[i][static_cast<std::size_t>(u)];
          EXPECT_GT(weight, 0.0);
          sums[static_cast<std::size_t>(windows.starts[i] + u)] += weight;
        }
      }
      for (const double sum : sums) EXPECT_NEAR(sum, 1.0, 1e-12);
      EXPECT_EQ(windows.starts.front(), 0);
      EXPECT_EQ(windows.starts.back() + windows.size, length);
    }
  }
}

TEST(AxisWindows, AreAsFewAsTheOverlapAllows) {
  EXPECT_EQ(axis_windows(8, 8, 2).starts, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(axis_windows(14, 8, 2).starts, (std::vector<std::int64_t>{0, 6}));
  EXPECT_EQ(axis_windows(15, 8, 2).starts.size(), 3u);
  EXPECT_EQ(window_count(14, 15, {8, 2}), 6);
  EXPECT_EQ(refined(axis_windows(14, 8, 2), 4).starts, (std::vector<std::int64_t>{0, 24}));
}

/// The small prior of the tests, in float64.
class Windows : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(5); }

  const std::unique_ptr<Prior> whole_ =
      load_stable_diffusion(test::data("sd1").string(), PriorOptions{.dtype = at::kDouble});
  const Prior windowed_ = with_windows(*whole_, {8, 3});
  const Level level_ = whole_->path->levels(10)[4];
};

TEST_F(Windows, OneWindowIsThePriorItself) {
  const at::Tensor z = normals({2, 4, 8, 6}), x = normals({2, 3, 32, 24});
  EXPECT_TRUE(at::equal(windowed_.noise(z, level_), whole_->noise(z, level_)));
  EXPECT_TRUE(at::equal(windowed_.codec->decode(z), whole_->codec->decode(z)));
  EXPECT_TRUE(at::equal(windowed_.codec->encode(x).mean, whole_->codec->encode(x).mean));
  EXPECT_TRUE(at::equal(windowed_.codec->encode(x).std, whole_->codec->encode(x).std));
  EXPECT_TRUE(at::equal(windowed_.codec->decode_vjp(z).pull(x), whole_->codec->decode_vjp(z).pull(x)));
}

/// c . f(x + h d) - c . f(x - h d) over 2 h, against pull(c) . d.
void expect_product(const std::function<at::Tensor(const at::Tensor&)>& f,
                    const std::function<Vjp(const at::Tensor&)>& f_vjp, const at::Tensor& x) {
  const at::Tensor direction = at::randn_like(x), value = f(x), cotangent = at::randn_like(value);
  Vjp vjp = f_vjp(x);
  EXPECT_TRUE(at::equal(vjp.value, value));
  const double h = 1e-5;
  const double slope =
      ((f(x + h * direction) - f(x - h * direction)) * cotangent).sum().item<double>() / (2 * h);
  const double product = (vjp.pull(cotangent) * direction).sum().item<double>();
  EXPECT_NEAR(product, slope, 1e-6 * (cotangent.norm() * direction.norm()).item<double>());
}

TEST_F(Windows, ProductsAreTheDerivatives) {
  const at::Tensor z = normals({2, 4, 13, 18}), x = normals({1, 3, 52, 40});
  expect_product([&](const at::Tensor& at) { return windowed_.noise(at, level_); },
                 [&](const at::Tensor& at) { return windowed_.noise_vjp(at, level_); }, z);
  expect_product([&](const at::Tensor& at) { return windowed_.codec->decode(at); },
                 [&](const at::Tensor& at) { return windowed_.codec->decode_vjp(at); }, z);
  expect_product([&](const at::Tensor& at) { return windowed_.codec->encode(at).mean; },
                 [&](const at::Tensor& at) { return windowed_.codec->encode_vjp(at); }, x);
}

TEST_F(Windows, FarFromOtherWindowsAPixelIsThatOfItsOwn) {
  const at::Tensor z = normals({1, 4, 8, 40});
  const auto corner = [](const at::Tensor& x) { return x.narrow(3, 0, 4); };
  EXPECT_LT(relative_error(corner(windowed_.noise(z, level_)),
                           corner(whole_->noise(z.narrow(3, 0, 8).contiguous(), level_))),
            1e-12);
  EXPECT_EQ(windowed_.codec->decode(z).sizes(), (at::IntArrayRef{1, 3, 32, 160}));
  EXPECT_EQ(windowed_.codec->encode(normals({1, 3, 64, 80})).mean.sizes(), (at::IntArrayRef{1, 4, 16, 20}));
}

TEST_F(Windows, WindowsThatMoveMoveTheirResult) {
  // Strides of 5: what is 5 further to the right stands in the next window.
  const at::Tensor z = normals({1, 4, 8, 33}), moved = z.roll(5, 3);
  const at::Tensor here = windowed_.noise(z, level_).narrow(3, 8, 12),
                   there = windowed_.noise(moved, level_).narrow(3, 13, 12);
  EXPECT_LT(relative_error(here, there), 1e-12);
}

TEST_F(Windows, WhatCannotBeIsRefused) {
  EXPECT_NE(test::message_of<UsageError>([&] {
              with_windows(*whole_, {4, 4});
            }).find("overlap"),
            std::string::npos);
  Prior one_size = *whole_;
  one_size.geometry.only = Canvas{32, 32, 8, 8};
  EXPECT_NE(test::message_of<UsageError>([&] {
              with_windows(one_size, {4, 1});
            }).find("one size"),
            std::string::npos);
}

/// A stationary Gaussian autoregression, C_ij = rho^|i - j|, whose score in a window is exact: that of the
/// window's own law.
class MarkovDenoiser final : public Denoiser {
 public:
  explicit MarkovDenoiser(double rho) : rho_(rho) {}
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    // eps = s (a^2 C + s^2 I)^-1 z_t along the last axis
    const at::Tensor covariance = level.signal * level.signal * law(z_t.size(3)) +
                                  level.noise * level.noise * at::eye(z_t.size(3), at::kDouble);
    return level.noise * at::linalg_solve(covariance, z_t.transpose(2, 3)).transpose(2, 3);
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return {noise(z_t, level, given),
            [this, level, given](const at::Tensor& c) { return noise(c, level, given); }};
  }
  at::Tensor law(std::int64_t n) const {
    const at::Tensor i = at::arange(n, at::kDouble);
    return at::pow(rho_, (i.unsqueeze(0) - i.unsqueeze(1)).abs());
  }

 private:
  double rho_;
};

/// |J - J_exact| / |J_exact| of the prior's precision, as the windows make it at an almost clean level: the
/// posterior mean of a linear measurement is wrong by no more.
double error_of_mean(double rho, std::int64_t size, std::int64_t overlap, const Level& level) {
  const std::int64_t n = 64;
  const auto exact = std::make_shared<MarkovDenoiser>(rho);
  const Prior prior{.path = nullptr,
                    .denoiser = exact,
                    .codec = std::make_shared<IdentityCodec>(),
                    .geometry = {.image_channels = 1, .latent_channels = 1},
                    .options = at::TensorOptions(at::kDouble),
                    .sha256 = ""};
  const Prior windowed = with_windows(prior, {size, overlap});
  // Row i of the precision at this level: eps of the i-th unit vector, over the noise.
  const at::Tensor units = at::eye(n, at::kDouble).reshape({n, 1, 1, n});
  const auto precision = [&](const Prior& of) {
    return (of.noise(units, level) / level.noise).reshape({n, n});
  };
  // y = x at every other entry, noise of 0.1; the mean solves (P + A^T A / 0.01) m = A^T y / 0.01.
  const at::Tensor observed = at::arange(n, at::kDouble).remainder(2).eq(0).to(at::kDouble) / 0.01;
  const at::Tensor truth = at::linalg_cholesky(exact->law(n)).matmul(normals({n, 256}));
  const auto mean = [&](const at::Tensor& of) {
    return at::linalg_solve(of + at::diag(observed), observed.unsqueeze(1) * truth);
  };
  const at::Tensor right = mean(precision(prior));
  return ((mean(precision(windowed)) - right).norm() / (right - truth).norm()).item<double>();
}

// The error that windows add to a posterior mean, as a share of that mean's own: small where the overlap is
// longer than the law's correlations, and smaller for larger windows.
TEST(WindowsOfAMarkovField, AddLittleToThePosteriorMeansError) {
  at::manual_seed(9);
  const Level clean{.signal = 1.0, .noise = 0.02};
  for (const double rho : {0.5, 0.9}) {
    double before = 1e9;
    for (const std::int64_t size : {8, 16, 32}) {
      const double error = error_of_mean(rho, size, size / 4, clean);
      RecordProperty(formatted("rho_{}_window_{}", rho, size), std::to_string(error));
      EXPECT_LT(error, before * 1.05) << rho << " " << size;
      before = error;
    }
    EXPECT_LT(before, 0.05) << rho;
    EXPECT_EQ(error_of_mean(rho, 64, 16, clean), 0.0);
  }
}

}  // namespace
}  // namespace dwgf
