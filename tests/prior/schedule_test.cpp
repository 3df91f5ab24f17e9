#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <tuple>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "prior/files/safetensors.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

DdpmScheduleConfig config_of(const std::string& name) {
  DdpmScheduleConfig config;
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

TEST(DdpmSchedule, EqualsDiffusersBitForBit) {
  const auto golden = test::read_all(test::data("schedules.safetensors"));
  for (const std::string name : {"scaled_linear", "linear", "squared_cosine", "trained"}) {
    SCOPED_TRACE(name);
    const DdpmSchedule schedule(config_of(name));
    const at::Tensor expected = golden.at(name);
    ASSERT_EQ(expected.numel(), schedule.train_steps());
    for (std::int64_t t = 0; t < schedule.train_steps(); ++t) {
      ASSERT_EQ(schedule.alpha_bar(t), static_cast<double>(expected[t].item<float>())) << "at time " << t;
    }
  }
}

TEST(DdpmSchedule, SignalAndNoiseAddUpToOne) {
  const DdpmSchedule schedule(DdpmScheduleConfig{});
  for (std::int64_t t = 0; t < schedule.train_steps(); ++t) {
    EXPECT_NEAR(std::pow(schedule.level(t).signal, 2) + std::pow(schedule.level(t).noise, 2), 1.0, 1e-15);
    if (t > 0) {
      EXPECT_LT(schedule.alpha_bar(t), schedule.alpha_bar(t - 1));
    }
  }
  EXPECT_THROW(schedule.alpha_bar(-1), InternalError);
  EXPECT_THROW(schedule.alpha_bar(1000), InternalError);
}

TEST(DdpmSchedule, TimesAreTheGridOfDiffusersWithoutItsLast) {
  const SafetensorsFile file(test::data("schedules.safetensors"));
  const DdpmSchedule schedule(DdpmScheduleConfig{});
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

TEST(DdpmSchedule, TimesStayInsideTheSchedule) {
  const DdpmSchedule schedule(DdpmScheduleConfig{});
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
  DdpmScheduleConfig late;
  late.steps_offset = 5;
  EXPECT_THROW(DdpmSchedule(late).times(999), UsageError);
  EXPECT_EQ(DdpmSchedule(late).times(10).front(), 905);
}

TEST(DdpmSchedule, EvenlyInNoiseAreTheNearestTimesToEvenPlaces) {
  const DdpmSchedule schedule{DdpmScheduleConfig{}};
  const auto place_of = [&](std::int64_t time) {
    return std::log(schedule.level(time).noise / schedule.level(time).signal);
  };
  for (const auto& [first, last, count] :
       {std::tuple{976, 1, 39}, {999, 26, 3}, {500, 500, 1}, {300, 1, 400}}) {
    const auto spaced = schedule.evenly_in_noise(first, last, static_cast<std::size_t>(count));
    ASSERT_EQ(spaced.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(spaced.front(), first);
    EXPECT_EQ(spaced.back(), last);
    for (std::size_t k = 0; k < spaced.size(); ++k) {
      const double share = count > 1 ? static_cast<double>(k) / (count - 1) : 0.0;
      const double place = place_of(first) + share * (place_of(last) - place_of(first));
      double nearest = 1e9;
      for (std::int64_t time = last; time <= first; ++time)
        nearest = std::min(nearest, std::abs(place_of(time) - place));
      EXPECT_NEAR(std::abs(place_of(spaced[k]) - place), nearest, 1e-12) << count << " " << k;
    }
  }
}

TEST(DdpmSchedule, LevelsAreThoseOfItsTimes) {
  const DdpmSchedule schedule{DdpmScheduleConfig{}};
  const auto times_of = [](const std::vector<Level>& levels) {
    std::vector<std::int64_t> times;
    for (const Level& level : levels) times.push_back(static_cast<std::int64_t>(level.time));
    return times;
  };
  EXPECT_EQ(times_of(schedule.levels(10)), schedule.times(10));
  EXPECT_EQ(times_of(schedule.levels(10, Spacing::log)), schedule.evenly_in_noise(901, 1, 9));
  for (const Level& level : schedule.levels(10)) {
    EXPECT_EQ(level.signal, std::sqrt(schedule.alpha_bar(static_cast<std::int64_t>(level.time))));
    EXPECT_EQ(level.noise, std::sqrt(1.0 - schedule.alpha_bar(static_cast<std::int64_t>(level.time))));
  }
  EXPECT_EQ(schedule.last(), schedule.level(1));
  EXPECT_EQ(schedule.first(), schedule.level(999));
}

TEST(DdpmSchedule, RefusesNonsense) {
  const auto refused = [](auto change) {
    DdpmScheduleConfig config;
    change(config);
    EXPECT_THROW(DdpmSchedule{config}, DataError);
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
