#include <algorithm>
#include <cmath>
#include <tuple>

#include <gtest/gtest.h>

#include <dwgf/flow/times.hpp>

namespace dwgf {
namespace {

TEST(Times, EvenlyInNoiseAreTheNearestTimesToEvenPlaces) {
  const NoiseSchedule schedule{NoiseScheduleConfig{}};
  const auto level = [&](std::int64_t time) {
    return std::log(schedule.noise(time) / schedule.signal(time));
  };
  for (const auto& [first, last, count] :
       {std::tuple{976, 1, 39}, {999, 26, 3}, {500, 500, 1}, {300, 1, 400}}) {
    const std::vector<std::int64_t> spaced =
        evenly_in_noise(schedule, first, last, static_cast<std::size_t>(count));
    ASSERT_EQ(spaced.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(spaced.front(), first);
    EXPECT_EQ(spaced.back(), last);
    for (std::size_t k = 0; k < spaced.size(); ++k) {
      const double share = count > 1 ? static_cast<double>(k) / (count - 1) : 0.0;
      const double place = level(first) + share * (level(last) - level(first));
      double nearest = 1e9;
      for (std::int64_t time = last; time <= first; ++time)
        nearest = std::min(nearest, std::abs(level(time) - place));
      EXPECT_NEAR(std::abs(level(spaced[k]) - place), nearest, 1e-12) << count << " " << k;
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
  options.spacing = Spacing::log;
  EXPECT_EQ(flow_times(schedule, options).front(), times.front());
  EXPECT_EQ(flow_times(schedule, options)[8], 1);
  options.steps = 5;
  EXPECT_EQ(step_count(options), 5);
}

}  // namespace
}  // namespace dwgf
