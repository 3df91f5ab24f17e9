#include "service/progress.hpp"

#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace dwgf {
namespace {

using namespace std::chrono_literals;

/// Two images of 10 steps, of 100 and 900 pixels.
class OneRank : public testing::Test {
 protected:
  void steps(int count) {
    for (int k = 0; k < count; ++k) progress_.step_done();
  }
  /// Time left over time taken: what is left over what is done.
  double left_over_done() {
    const auto before = std::chrono::steady_clock::now();
    const nlohmann::json told = nlohmann::json::parse(progress_.json());
    const std::chrono::duration<double> taken = before - start_;
    return told.at("seconds_left").get<double>() / taken.count();
  }

  Communicator self_ = Communicator::self();
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Progress progress_{self_, 1, 0, true, {2, 10, 1000}};
};

TEST_F(OneRank, CountsPixelsAndNotImages) {
  progress_.image_begins(100);
  steps(10);
  progress_.image_done(false);
  std::this_thread::sleep_for(200ms);  // so that the two clocks agree
  EXPECT_NEAR(left_over_done(), 9.0, 1.0);
}

TEST_F(OneRank, CountsNoWorkOfFailedImages) {
  progress_.image_begins(100);
  steps(10);
  progress_.image_done(false);
  progress_.image_begins(900);
  steps(4);
  progress_.image_done(true);
  const nlohmann::json told = nlohmann::json::parse(progress_.json());
  EXPECT_EQ(told.at("failed"), 1);
  EXPECT_DOUBLE_EQ(told.at("seconds_left"), 0.0) << "all that can be done is done";
}

TEST_F(OneRank, CountsNoStepsOfAnEarlierRun) {
  progress_.image_begins(900);
  progress_.goes_on_after(8);
  steps(1);
  std::this_thread::sleep_for(200ms);
  // 900 done; left are one step of this image and ten of the other: 900 + 1000.
  EXPECT_NEAR(left_over_done(), 1900.0 / 900.0, 0.3);
}

TEST_F(OneRank, BeginsAnImageOnceMore) {
  progress_.image_begins(900);
  steps(5);
  progress_.goes_on_after(0);
  steps(10);
  progress_.image_done(false);
  std::this_thread::sleep_for(200ms);
  EXPECT_NEAR(left_over_done(), 1000.0 / 9000.0, 0.03);
}

}  // namespace
}  // namespace dwgf
