#include <gtest/gtest.h>

#include <dwgf/flow/times.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

namespace dwgf {
namespace {

TEST(Levels, SettleAtTheLevelThatTheGridLeavesOut) {
  const DdpmSchedule schedule{DdpmScheduleConfig{}};
  FlowOptions options;
  options.grid = 10;
  EXPECT_EQ(flow_levels(schedule, options), schedule.levels(10));
  EXPECT_EQ(step_count(options), 9);
  options.settle = 3;
  const std::vector<Level> levels = flow_levels(schedule, options);
  ASSERT_EQ(levels.size(), 12U);
  EXPECT_EQ(step_count(options), 12);
  EXPECT_EQ(levels[8], schedule.level(101));
  for (std::size_t k = 9; k < 12; ++k) EXPECT_EQ(levels[k], schedule.level(1));
  options.spacing = Spacing::log;
  EXPECT_EQ(flow_levels(schedule, options).front(), levels.front());
  EXPECT_EQ(flow_levels(schedule, options)[8], schedule.level(1));
  options.steps = 5;
  EXPECT_EQ(step_count(options), 5);
}

}  // namespace
}  // namespace dwgf
