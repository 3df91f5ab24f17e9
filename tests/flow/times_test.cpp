#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include <dwgf/flow/times.hpp>

namespace dwgf {
namespace {

TEST(Times, EvenlyInNoiseAreTheNearestTimesToEvenPlaces) {
  const NoiseSchedule schedule{NoiseScheduleConfig{}};
  const auto level = [&](std::int64_t time) {
    return std::log(schedule.noise(time) / schedule.signal(time));
  };
  for (const std::int64_t grid : {2, 3, 20, 400}) {
    const std::vector<std::int64_t> times = schedule.times(grid);
    const std::vector<std::int64_t> spaced = evenly_in_noise(schedule, times);
    ASSERT_EQ(spaced.size(), times.size());
    EXPECT_EQ(spaced.front(), times.front());
    for (std::size_t k = 0; k < spaced.size(); ++k) {
      const double share =
          spaced.size() > 1 ? static_cast<double>(k) / static_cast<double>(spaced.size() - 1) : 0.0;
      const double place = level(times.front()) + share * (level(times.back()) - level(times.front()));
      double nearest = 1e9;
      for (std::int64_t time = times.back(); time <= times.front(); ++time)
        nearest = std::min(nearest, std::abs(level(time) - place));
      EXPECT_NEAR(std::abs(level(spaced[k]) - place), nearest, 1e-12) << grid << " " << k;
    }
  }
}

TEST(Times, SettleAtTheTimeThatTheGridLeavesOut) {
  const NoiseSchedule schedule{NoiseScheduleConfig{}};
  FlowOptions options;
  options.grid = 10;
  EXPECT_EQ(flow_times(schedule, options), schedule.times(10));
  EXPECT_EQ(step_count(options), 9);
  options.settle = 3;
  const std::vector<std::int64_t> times = flow_times(schedule, options);
  ASSERT_EQ(times.size(), 12U);
  EXPECT_EQ(step_count(options), 12);
  EXPECT_EQ((std::vector<std::int64_t>(times.end() - 4, times.end())),
            (std::vector<std::int64_t>{101, 1, 1, 1}));
  options.steps = 5;
  EXPECT_EQ(step_count(options), 5);
}

}  // namespace
}  // namespace dwgf
