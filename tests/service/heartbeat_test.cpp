#include "service/heartbeat.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "base/log.hpp"

namespace dwgf {
namespace {

using namespace std::chrono_literals;

TEST(Heartbeat, SpeaksWhereNothingElseDoes) {
  std::atomic<int> asked{0};
  testing::internal::CaptureStderr();
  {
    const Heartbeat heartbeat([&] { return ++asked == 1 ? std::string("at work") : std::string(); }, 5ms);
    for (int turn = 0; turn < 6000 && asked < 2; ++turn) std::this_thread::sleep_for(10ms);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_GE(asked, 2);
  EXPECT_NE(said.find("at work\n"), std::string::npos) << said;
  EXPECT_EQ(said.find("at work"), said.rfind("at work")) << "an empty text is not said: " << said;
}

TEST(Heartbeat, IsSilentWhileSomethingIsSaid) {
  std::atomic<int> asked{0};
  {
    const Heartbeat heartbeat([&] { return std::to_string(++asked); }, 1h);
    note_spoken();
  }
  EXPECT_EQ(asked, 0);
}

}  // namespace
}  // namespace dwgf
