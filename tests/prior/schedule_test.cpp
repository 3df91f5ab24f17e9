#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/schedule.hpp>

#include "prior/files/safetensors.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

NoiseScheduleConfig config_of(const std::string& name) {
  NoiseScheduleConfig config;
  if (name == "scaled_linear") return config;
  config.steps_offset = 0;
  config.beta_start = 0.0001;
  config.beta_end = 0.02;
  config.beta_schedule = name == "linear" ? BetaSchedule::linear : BetaSchedule::squared_cosine;
  if (name == "trained") {
    config.train_steps = 5;
    config.trained_betas = {0.1F, 0.2F, 0.25F, 0.3F, 0.35F};
  }
  return config;
}

TEST(NoiseSchedule, EqualsDiffusersBitForBit) {
  const auto golden = test::read_all(test::data("schedules.safetensors"));
  for (const std::string name : {"scaled_linear", "linear", "squared_cosine", "trained"}) {
    SCOPED_TRACE(name);
    const NoiseSchedule schedule(config_of(name));
    const at::Tensor expected = golden.at(name);
    ASSERT_EQ(expected.numel(), schedule.train_steps());
    for (std::int64_t t = 0; t < schedule.train_steps(); ++t) {
      ASSERT_EQ(schedule.alpha_bar(t), static_cast<double>(expected[t].item<float>())) << "at time " << t;
    }
  }
}

TEST(NoiseSchedule, SignalAndNoiseAddUpToOne) {
  const NoiseSchedule schedule(NoiseScheduleConfig{});
  for (std::int64_t t = 0; t < schedule.train_steps(); ++t) {
    EXPECT_NEAR(std::pow(schedule.signal(t), 2) + std::pow(schedule.noise(t), 2), 1.0, 1e-15);
    if (t > 0) {
      EXPECT_LT(schedule.alpha_bar(t), schedule.alpha_bar(t - 1));
    }
  }
  EXPECT_THROW(schedule.alpha_bar(-1), InternalError);
  EXPECT_THROW(schedule.alpha_bar(1000), InternalError);
}

TEST(NoiseSchedule, TimesAreTheGridOfDiffusersWithoutItsLast) {
  const SafetensorsFile file(test::data("schedules.safetensors"));
  const NoiseSchedule schedule(NoiseScheduleConfig{});
  int grids = 0;
  for (const auto& stored : file.tensors()) {
    const std::string prefix = "scaled_linear.times.";
    if (!stored.name.starts_with(prefix)) continue;
    ++grids;
    const std::int64_t grid = std::stoll(stored.name.substr(prefix.size()));
    std::vector<std::int32_t> expected(grid);
    std::memcpy(expected.data(), file.bytes(stored).data(), 4 * grid);
    const auto times = schedule.times(grid);
    ASSERT_EQ(static_cast<std::int64_t>(times.size()), grid - 1);
    for (std::int64_t k = 0; k + 1 < grid; ++k) ASSERT_EQ(times[k], expected[k]) << grid << " " << k;
  }
  EXPECT_EQ(grids, 5);
}

TEST(NoiseSchedule, TimesStayInsideTheSchedule) {
  const NoiseSchedule schedule(NoiseScheduleConfig{});
  EXPECT_EQ(schedule.times(999).front(), 999);
  EXPECT_EQ(schedule.times(999).back(), 2);
  EXPECT_EQ(schedule.times(2), (std::vector<std::int64_t>{501}));
  for (std::int64_t grid = 2; grid < 1000; ++grid) {
    const auto times = schedule.times(grid);
    ASSERT_LT(times.front(), 1000);
    ASSERT_GE(times.back(), 1);
    for (std::size_t k = 1; k < times.size(); ++k) ASSERT_LT(times[k], times[k - 1]);
  }
  EXPECT_THROW(schedule.times(1), UsageError);
  EXPECT_THROW(schedule.times(1000), UsageError);
  NoiseScheduleConfig late;
  late.steps_offset = 5;
  EXPECT_THROW(NoiseSchedule(late).times(999), UsageError);
  EXPECT_EQ(NoiseSchedule(late).times(10).front(), 905);
}

TEST(NoiseSchedule, RefusesNonsense) {
  const auto refused = [](auto change) {
    NoiseScheduleConfig config;
    change(config);
    EXPECT_THROW(NoiseSchedule{config}, DataError);
  };
  refused([](auto& c) { c.train_steps = 2; });
  refused([](auto& c) { c.train_steps = -1; });
  refused([](auto& c) { c.train_steps = std::int64_t{1} << 60; });
  refused([](auto& c) { c.beta_start = 0.0; });
  refused([](auto& c) { c.beta_end = 1.0; });
  refused([](auto& c) { c.beta_end = std::nan(""); });
  refused([](auto& c) { c.steps_offset = 1000; });
  refused([](auto& c) { c.trained_betas = {0.1F}; });
  refused([](auto& c) { c.train_steps = 3, c.trained_betas = {0.1F, 1.0F, 0.1F}; });
  refused([](auto& c) { c.train_steps = 3, c.trained_betas = {0.1F, std::nanf(""), 0.1F}; });
}

}  // namespace
}  // namespace dwgf
