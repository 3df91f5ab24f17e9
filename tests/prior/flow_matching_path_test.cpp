#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

TEST(FlowMatchingPath, SigmasAndTimesAreThoseOfDiffusers) {
  const auto golden = test::read_all(test::data("flow_matching.safetensors"));
  for (const double shift : {3.0, 1.0}) {
    const FlowMatchingPath path({.shift = shift});
    for (const std::int64_t steps : {1, 2, 4, 8, 50}) {
      SCOPED_TRACE(formatted("shift {}, {} steps", shift, steps));
      const std::string name = formatted(".{}.{}", static_cast<int>(shift), steps);
      const at::Tensor sigmas = golden.at("sigmas" + name), times = golden.at("times" + name);
      const std::vector<double> own = path.sigmas(steps);
      const std::vector<Level> levels = path.levels(steps + 1);
      ASSERT_EQ(static_cast<std::int64_t>(own.size()), sigmas.size(0));
      ASSERT_EQ(levels.size(), own.size());
      for (std::int64_t k = 0; k < steps; ++k) {
        const auto at = static_cast<std::size_t>(k);
        const double s = sigmas[k].item<double>();
        EXPECT_EQ(own[at], s);
        EXPECT_EQ(path.level(own[at]), (Level{1.0 - s, s, times[k].item<double>()}));
        EXPECT_EQ(levels[at].time, times[k].item<double>());
        EXPECT_EQ(levels[at].noise, k == 0 ? 1.0 - FlowMatchingPath::kLeastSignal : s);
      }
    }
  }
}

TEST(FlowMatchingPath, LevelsFallAlongTheLineAndKeepASignal) {
  for (const double shift : {0.5, 1.0, 3.0, 12.0}) {
    const FlowMatchingPath path({.shift = shift});
    for (const Spacing spacing : {Spacing::linear, Spacing::log}) {
      for (const std::int64_t grid : {2, 3, 60, 999}) {
        SCOPED_TRACE(formatted("shift {}, grid {}", shift, grid));
        const std::vector<Level> levels = path.levels(grid, spacing);
        ASSERT_EQ(static_cast<std::int64_t>(levels.size()), grid - 1);
        EXPECT_EQ(levels.front(), path.first());
        if (grid > 2) {
          EXPECT_EQ(levels.back(), path.last());
        }
        for (std::size_t k = 0; k < levels.size(); ++k) {
          EXPECT_NEAR(levels[k].signal + levels[k].noise, 1.0, 1e-15);
          EXPECT_GE(levels[k].signal, FlowMatchingPath::kLeastSignal);
          EXPECT_GT(levels[k].noise, 0.0);
          if (k == 0) continue;
          EXPECT_LE(levels[k].noise, levels[k - 1].noise);
          EXPECT_LT(levels[k].time, levels[k - 1].time);
        }
      }
    }
  }
}

TEST(FlowMatchingPath, NearestIsTheLevelOfThatRatio) {
  const FlowMatchingPath path({.shift = 3.0});
  for (const double ratio : {-4.0, -1.5, 0.0, 0.7, 5.0})
    EXPECT_NEAR(log_ratio(path.nearest(ratio)), ratio, 1e-12);
  EXPECT_EQ(path.nearest(100.0), path.first());
  EXPECT_EQ(path.nearest(-100.0), path.last());
  for (const Level& level : path.levels(20)) {
    EXPECT_NEAR(path.nearest(log_ratio(level)).noise, level.noise, 1e-14);
    EXPECT_NEAR(path.nearest(log_ratio(level)).time, level.time, 1e-4);
  }
}

TEST(FlowMatchingPath, ScaleIsOneWhereVarianceIsPreserved) {
  EXPECT_EQ(scale_of({0.6, 0.8}), 1.0);
  EXPECT_EQ(scale_of({std::sqrt(0.3), std::sqrt(0.7)}), 1.0);
  EXPECT_DOUBLE_EQ(scale_of({0.5, 0.5}), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(scale_of({3.0, 4.0}), 5.0);
}

TEST(FlowMatchingPath, RefusesNonsense) {
  EXPECT_THROW(FlowMatchingPath({.train_steps = 2}), DataError);
  EXPECT_THROW(FlowMatchingPath({.train_steps = std::int64_t{1} << 60}), DataError);
  for (const double shift : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(FlowMatchingPath({.shift = shift}), DataError);
  const FlowMatchingPath path({});
  for (const std::int64_t grid : {-1, 0, 1, 1001}) EXPECT_THROW((void)path.levels(grid), UsageError);
  for (const std::int64_t steps : {-1, 0, 1001}) EXPECT_THROW((void)path.sigmas(steps), UsageError);
}

}  // namespace
}  // namespace dwgf
