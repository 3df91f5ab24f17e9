#include "service/stop_conditions.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// The first reason that is given; empty where none is within `patience`.
std::string reason_within(std::chrono::seconds patience, StopConditions::Limits limits, double step = 0.0) {
  std::promise<std::string> reason;
  std::future<std::string> given = reason.get_future();
  const StopConditions conditions(
      std::move(limits), [step] { return step; },
      [&](const std::string& text) { reason.set_value(text); });  // a second call would throw
  return given.wait_for(patience) == std::future_status::ready ? given.get() : "";
}

TEST(StopConditions, AFileStopsOnceAndIsRemoved) {
  const fs::path file = fs::temp_directory_path() / ("dwgf-stop-" + std::to_string(getpid()));
  EXPECT_EQ(reason_within(1s, {.file = file}), "");
  std::ofstream{file};
  EXPECT_NE(reason_within(60s, {.file = file}), "");
  EXPECT_FALSE(fs::exists(file));
}

TEST(StopConditions, StopsWhileTwoMoreStepsAndTheReserveFit) {
  EXPECT_EQ(reason_within(1s, {.seconds = 1000.0}), "");
  EXPECT_EQ(reason_within(1s, {.seconds = 1000.0}, 450.0), "");
  EXPECT_NE(reason_within(60s, {.seconds = 1000.0}, 495.0), "") << "10 s left, with a reserve of 20 s";
  EXPECT_NE(reason_within(60s, {.seconds = 1.0}), "") << "the least reserve is 1 s";
  EXPECT_NE(reason_within(60s, {.seconds = -5.0}), "") << "a Slurm job that should have ended";
}

TEST(StopConditions, SlurmSaysWhenItsJobEnds) {
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_THROW(slurm_seconds_left(), UsageError);
  setenv("SLURM_JOB_END_TIME", "soon", 1);
  EXPECT_THROW(slurm_seconds_left(), UsageError);
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  setenv("SLURM_JOB_END_TIME", std::to_string(now + 36000).c_str(), 1);
  EXPECT_NEAR(slurm_seconds_left(), 36000.0, 600.0);
  unsetenv("SLURM_JOB_END_TIME");
}

}  // namespace
}  // namespace dwgf
