#include "prior/windows.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion_xl.hpp>

#include "prior_files.hpp"
#include "support/markov_field.hpp"

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

TEST(AxisWindows, ShiftedOnesMeetElsewhereAndCoverEverything) {
  const AxisWindows at_rest = axis_windows(40, 8, 2);
  for (const double shift : {0.01, 0.3, 0.5, 0.99}) {
    const AxisWindows windows = axis_windows(40, 8, 2, shift);
    EXPECT_LE(windows.starts.size(), at_rest.starts.size() + 1);
    std::vector<double> sums(40, 0.0);
    for (std::size_t i = 0; i < windows.starts.size(); ++i) {
      if (i > 0) {
        EXPECT_GE(windows.starts[i - 1] + 8 - windows.starts[i], 2);
      }
      for (std::size_t u = 0; u < 8; ++u)
        sums[static_cast<std::size_t>(windows.starts[i]) + u] += windows.weights[i][u];
    }
    for (const double sum : sums) EXPECT_NEAR(sum, 1.0, 1e-12);
    EXPECT_EQ(windows.starts.front(), 0);
    EXPECT_EQ(windows.starts.back(), 32);
  }
  EXPECT_NE(axis_windows(40, 8, 2, 0.5).starts[1], at_rest.starts[1]);
  EXPECT_EQ(axis_windows(8, 8, 2, 0.5).starts, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(window_count(14, 15, {8, 2, true}), 12);
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

TEST_F(Windows, MoveByAnAddressedDrawAndComeToRest) {
  const Prior moving = with_windows(*whole_, {8, 3, true});
  const at::Tensor z = normals({1, 4, 13, 18}), at_rest = windowed_.noise(z, level_);
  const auto at_step = [&](std::uint64_t image, std::int64_t step) {
    MovingWindows windows(moving, 7, image);
    windows.enter(step + 1);  // what came before leaves nothing behind
    windows.enter(step);
    return moving.noise(z, level_);
  };
  EXPECT_TRUE(at::equal(moving.noise(z, level_), at_rest));
  const at::Tensor here = at_step(2, 5);
  EXPECT_TRUE(at::equal(here, at_step(2, 5)));
  EXPECT_FALSE(at::equal(here, at_step(2, 6)));
  EXPECT_FALSE(at::equal(here, at_step(3, 5)));
  EXPECT_FALSE(at::equal(here, at_rest));
  EXPECT_TRUE(at::equal(moving.noise(z, level_), at_rest));
}

TEST_F(Windows, AProductIsThatOfTheStepItWasBegunIn) {
  const Prior moving = with_windows(*whole_, {8, 3, true});
  const at::Tensor z = normals({1, 4, 13, 18}), cotangent = normals({1, 3, 52, 72});
  MovingWindows windows(moving, 7, 2);
  windows.enter(5);
  const Vjp begun = moving.codec->decode_vjp(z);
  const at::Tensor at_once = moving.codec->decode_vjp(z).pull(cotangent);
  windows.enter(6);
  EXPECT_TRUE(at::equal(begun.pull(cotangent), at_once));
  EXPECT_FALSE(at::equal(moving.codec->decode_vjp(z).pull(cotangent), at_once));
}

TEST(WindowsOfStableDiffusionXl, AreToldTheirOwnSize) {
  at::manual_seed(5);
  const auto whole =
      load_stable_diffusion_xl(test::data("sdxl").string(), PriorOptions{.dtype = at::kDouble});
  const Prior windowed = with_windows(*whole, {8, 3});
  const Level level = whole->path->levels(10)[4];
  const at::Tensor z = normals({1, 4, 8, 40}), first = z.narrow(3, 0, 8).contiguous();
  const auto corner = [](const at::Tensor& x) { return x.narrow(3, 0, 4); };
  Conditioning told = whole->conditioning;
  const auto of_size = [&](double height, double width) {
    told.sizes = at::tensor({height, width, 0.0, 0.0, height, width}, at::kFloat).unsqueeze(0);
    return corner(whole->denoiser->noise(first, level, told));
  };
  const double side = 8.0 * static_cast<double>(whole->geometry.factor);
  const at::Tensor here = corner(windowed.noise(z, level));
  EXPECT_LT(relative_error(here, of_size(side, side)), 1e-12);
  EXPECT_GT(relative_error(here, of_size(side, 5 * side)), 1e-6);
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

// What windows add is less for larger ones and where they move, which leaves no seam either.
TEST(WindowsOfAMarkovField, AddLittleToThePosteriorMeanAndNoSeam) {
  for (const double rho : {0.5, 0.8}) {
    at::manual_seed(9);
    const test::FieldProblem problem(rho, 24);
    double before = 1e9;
    for (const std::int64_t size : {6, 12, 18}) {
      const test::WindowEffect at_rest = problem.effect(size, size / 3),
                               moving = problem.effect(size, size / 3, 12);
      EXPECT_LT(at_rest.added_error, before) << rho << " " << size;
      EXPECT_LT(moving.added_error, at_rest.added_error) << rho << " " << size;
      EXPECT_NEAR(moving.seam, 1.0, 0.02) << rho << " " << size;
      before = at_rest.added_error;
    }
    EXPECT_LT(before, 0.05) << rho;
    const test::WindowEffect one_window = problem.effect(24, 6);
    EXPECT_LT(one_window.added_error, 1e-12);
  }
}

}  // namespace
}  // namespace dwgf
