#include "base/log.hpp"

#include <gtest/gtest.h>

namespace dwgf {
namespace {

class Log : public testing::Test {
 protected:
  void TearDown() override { set_log_source({}); }

  template <class Call>
  static std::string printed(const LogSource& source, const Call& call) {
    set_log_source(source);
    testing::internal::CaptureStderr();
    call();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, NamesTheCommandAndTheLevel) {
  const auto job = [](LogLevel level) { return [level] { log_job(level, "text"); }; };
  EXPECT_EQ(printed({"restore"}, job(LogLevel::info)), "restore: text\n");
  EXPECT_EQ(printed({"restore"}, job(LogLevel::warning)), "restore: warning: text\n");
  EXPECT_EQ(printed({"restore"}, job(LogLevel::error)), "dwgf restore: text\n");
  EXPECT_EQ(printed({}, job(LogLevel::error)), "dwgf: text\n");
}

TEST_F(Log, SpeaksOnceForTheJobAndWithItsNumberForARank) {
  const LogSource second{"restore", 1, 3, "node7"};
  EXPECT_EQ(printed(second, [] { log_job(LogLevel::info, "text"); }), "");
  EXPECT_EQ(printed(second, [] { log_rank(LogLevel::info, "text"); }),
            "restore: [rank 1 of 3 on node7] text\n");
  EXPECT_EQ(printed({"restore", 0, 1, "node7"}, [] { log_rank(LogLevel::error, "text"); }),
            "dwgf restore: text\n");
}

TEST_F(Log, DoesNotSteerATerminal) {
  EXPECT_EQ(printed({"restore"}, [] { log_job(LogLevel::info, "\x1B[2J"); }), "restore: \\x1B[2J\n");
}

}  // namespace
}  // namespace dwgf
