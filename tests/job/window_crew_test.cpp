#include "job/window_crew.hpp"

#include <gtest/gtest.h>

#include "job/window_rounds.hpp"

namespace dwgf {
namespace {

std::int64_t share_of(std::int64_t count, std::int64_t ranks) {
  return (count + ranks - 1) / ranks;
}

TEST(CrewLayout, IsTheDivisionWhoseBusiestRankComputesTheFewestWindows) {
  for (const int ranks : {1, 2, 3, 6, 8, 12}) {
    for (const std::int64_t batches : {1, 2, 4, 7}) {
      for (const std::int64_t windows : {1, 9, 16}) {
        const CrewLayout layout = crew_layout(ranks, batches, windows);
        EXPECT_EQ(layout.leaders * layout.crew, ranks);
        const std::int64_t busiest = share_of(batches, layout.leaders) * share_of(windows, layout.crew);
        for (int leaders = 1; leaders <= ranks; ++leaders) {
          if (ranks % leaders != 0) continue;
          EXPECT_LE(busiest, share_of(batches, leaders) * share_of(windows, ranks / leaders));
        }
      }
    }
  }
}

TEST(CrewLayout, PrefersLeaders) {
  EXPECT_EQ(crew_layout(4, 4, 16).leaders, 4);
  EXPECT_EQ(crew_layout(4, 1, 16).leaders, 1);
}

TEST(WindowRounds, AreEveryWindowOnceAndLeaveNobodyMoreThanTheShare) {
  for (const std::int64_t windows : {1, 9, 100, 1936}) {
    for (const int ranks : {1, 2, 3, 128}) {
      for (const std::int64_t bytes : {std::int64_t{100}, std::int64_t{1} << 20, std::int64_t{1} << 30}) {
        const WindowRounds rounds(windows, ranks, bytes);
        std::int64_t next = 0, busiest = 0;
        for (std::int64_t round = 0; round < rounds.count(); ++round) {
          EXPECT_EQ(rounds[round].first, next);
          next += ranks * rounds[round].each;
          busiest += rounds[round].each;
          EXPECT_TRUE(rounds[round].each == 1 || rounds[round].each * ranks * bytes <= (64 << 20));
        }
        EXPECT_GE(next, windows);
        EXPECT_EQ(busiest, share_of(windows, ranks));
      }
    }
  }
  EXPECT_EQ(WindowRounds(1600, 2, 100).count(), 8);
}

TEST(BestRanksPerImage, IsAllForOneImageAndOneForMany) {
  EXPECT_EQ(best_ranks_per_image(8, 1, 1, 64), 8);
  EXPECT_EQ(best_ranks_per_image(8, 16, 1, 64), 1);
  EXPECT_EQ(best_ranks_per_image(8, 2, 1, 64), 4);
  EXPECT_EQ(best_ranks_per_image(8, 1, 1, 3), 4) << "no more ranks than have a window";
  EXPECT_EQ(best_ranks_per_image(1, 5, 4, 9), 1);
}

}  // namespace
}  // namespace dwgf
