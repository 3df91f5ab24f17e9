#include "job/ahead/step_cost.hpp"

#include <gtest/gtest.h>

namespace dwgf {
namespace {

TEST(StepCost, TimeGrowsAsTheTwoMeasuredStepsSay) {
  const auto time = [](double pixels) { return 0.5 * pixels + 0.01 * pixels * pixels; };
  EXPECT_DOUBLE_EQ(extrapolated(10, time(10), 40, time(40), 1000), time(1000));
  EXPECT_DOUBLE_EQ(extrapolated(10, 5, 40, 20, 1000), 500) << "linear";
  // What grows less than linearly is taken as linear from the larger one; nothing is ever negative.
  EXPECT_DOUBLE_EQ(extrapolated(10, 8, 40, 20, 1000), 500);
  EXPECT_DOUBLE_EQ(extrapolated(10, 0.001, 40, 20, 40), 20) << "through the larger one";
}

}  // namespace
}  // namespace dwgf
