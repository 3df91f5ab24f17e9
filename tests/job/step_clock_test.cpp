#include "job/step_clock.hpp"

#include <stdexcept>
#include <thread>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

using namespace std::chrono_literals;

constexpr double kPause = 0.02;
void pause() {
  std::this_thread::sleep_for(20ms);
}

struct SlowDenoiser final : Denoiser {
  at::Tensor noise(const at::Tensor& z, const Level&, const Conditioning&) const override {
    pause();
    return z + 1;
  }
  Vjp noise_vjp(const at::Tensor& z, const Level&, const Conditioning&) const override {
    return {z + 1, [](const at::Tensor& c) {
              pause();
              return 2 * c;
            }};
  }
};

struct SlowOperator final : LinearOperator {
  at::Tensor apply(const at::Tensor& x) const override {
    pause();
    return 3 * x;
  }
  at::Tensor adjoint(const at::Tensor& r) const override { return 3 * r; }
  std::vector<std::int64_t> measurement_shape() const override { return {1, 2, 2}; }
  bool keeps_unobserved() const override { return true; }
  bool measures_image() const override { return true; }
};

class Clocked : public testing::Test {
 protected:
  Clocked() {
    prior_.denoiser = std::make_shared<SlowDenoiser>();
    prior_.codec = std::make_shared<IdentityCodec>();
  }
  double seconds(StepPart part) const { return clock_.seconds()[static_cast<std::size_t>(part)]; }

  bool ends_ = false;
  StepClock clock_{[this] {
    if (ends_) throw std::runtime_error("ended");
  }};
  Prior prior_;
  at::Tensor x_ = at::arange(4, at::kFloat).view({1, 1, 2, 2});
};

TEST_F(Clocked, PartsComputeWhatTheyDidAndTheirTimeIsTheirOwn) {
  const Prior timed = timed_prior(prior_, clock_);
  EXPECT_TRUE(timed.noise(x_, {}).equal(x_ + 1));
  EXPECT_GE(seconds(StepPart::denoiser), kPause);
  EXPECT_EQ(seconds(StepPart::vjp), 0.0);
  EXPECT_TRUE(timed.noise_vjp(x_, {}).pull(x_).equal(2 * x_));
  EXPECT_GE(seconds(StepPart::vjp), kPause);
  EXPECT_TRUE(timed.codec->decode(x_).equal(x_));
  clock_.restart();
  EXPECT_EQ(seconds(StepPart::denoiser), 0.0);
}

TEST_F(Clocked, AnOperatorIsTheSameWithAClock) {
  const auto inner = std::make_shared<SlowOperator>();
  const auto timed = timed_operator(inner, clock_);
  EXPECT_TRUE(timed->apply(x_).equal(3 * x_));
  EXPECT_TRUE(timed->pull_back(x_, x_).equal(3 * x_));
  EXPECT_TRUE(timed->push_forward(x_, x_).equal(3 * x_));
  EXPECT_GE(seconds(StepPart::forward), 2 * kPause);
  EXPECT_TRUE(timed->is_linear() && timed->keeps_unobserved() && timed->measures_image());
  EXPECT_EQ(timed->squared_norm({1, 2, 2}), inner->squared_norm({1, 2, 2}));
}

TEST_F(Clocked, ACallOfANetworkMayBeForestalled) {
  const Prior timed = timed_prior(prior_, clock_);
  const Vjp begun = timed.noise_vjp(x_, {});
  ends_ = true;
  EXPECT_THROW(timed.noise(x_, {}), std::runtime_error);
  EXPECT_THROW(timed.codec->decode(x_), std::runtime_error);
  EXPECT_THROW(begun.pull(x_), std::runtime_error);
  EXPECT_NO_THROW(timed_operator(std::make_shared<SlowOperator>(), clock_)->apply(x_));
}

}  // namespace
}  // namespace dwgf
