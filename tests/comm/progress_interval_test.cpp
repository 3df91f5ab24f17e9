#include "comm/progress_interval.hpp"

#include <gtest/gtest.h>

namespace dwgf {
namespace {

using namespace std::chrono_literals;

TEST(ProgressInterval, FewGroupsTellTwiceASecond) {
  for (const int groups : {1, 8, 100}) EXPECT_EQ(progress_interval(groups), 500ms) << groups;
}

TEST(ProgressInterval, HoweverManyGroupsRankZeroReads250MessagesASecondAtMost) {
  for (int groups = 1; groups <= 100'000; groups = 3 * groups / 2 + 1) {
    const double seconds = std::chrono::duration<double>(progress_interval(groups)).count();
    EXPECT_LE(groups / seconds, 250.0 + 1e-9) << groups;
  }
}

}  // namespace
}  // namespace dwgf
