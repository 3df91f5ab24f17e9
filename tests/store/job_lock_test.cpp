#include "store/job_lock.hpp"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

TEST(JobLock, IsHeldByOneAndGoneAfterwards) {
  const std::string path = temporary_of_rank("one.h5");
  EXPECT_EQ(look_for_job(path).running, false);
  {
    JobLock lock = JobLock::acquire(path);
    EXPECT_TRUE(lock.held());
    lock.say("host a, rank 0");
    const std::string text = message_of<UsageError>([&] { JobLock::acquire(path); });
    EXPECT_NE(text.find(path), std::string::npos) << text;
    lock.say("b");
    const JobSeen seen = look_for_job(path);
    EXPECT_EQ(seen.running, true);
    EXPECT_EQ(seen.said, "b");
    EXPECT_GE(seen.seconds_silent, 0.0);
  }
  EXPECT_FALSE(fs::exists(path + ".running"));
  EXPECT_NO_THROW(JobLock::acquire(path));
}

TEST(JobLock, IsFreeAsSoonAsItsHolderIsKilled) {
  const std::string path = temporary_of_rank("killed.h5");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    JobLock lock = JobLock::acquire(path);
    lock.say("the one that is killed");
    static_cast<void>(!write(ready[1], "x", 1));
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THROW(JobLock::acquire(path), UsageError);
  EXPECT_EQ(look_for_job(path).running, true);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (const int descriptor : ready) close(descriptor);
  const JobSeen seen = look_for_job(path);
  EXPECT_EQ(seen.running, false);
  EXPECT_EQ(seen.said, "the one that is killed");
  EXPECT_TRUE(JobLock::acquire(path).held());
  EXPECT_FALSE(fs::exists(path + ".running"));
}

TEST(JobLock, WithoutAPlaceForItIsAnError) {
  EXPECT_THROW(JobLock::acquire(temporary_of_rank("absent/r.h5")), IoError);
}

}  // namespace
}  // namespace dwgf
