#include "base/signals.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

using namespace std::chrono_literals;

/// Waits for what another thread does; a busy machine only makes it slower.
template <class Condition>
bool comes_true(Condition condition) {
  for (int turn = 0; turn < 6000 && !condition(); ++turn) std::this_thread::sleep_for(10ms);
  return condition();
}

TEST(Signals, AreCountedAndNothingElseHappens) {
  ScopedSignals signals;
  EXPECT_FALSE(signals.stop_requested());
  raise(SIGUSR2);
  raise(SIGUSR2);
  EXPECT_EQ(signals.checkpoints_requested(), 2);
  EXPECT_FALSE(signals.stop_requested());
  raise(SIGUSR1);
  EXPECT_TRUE(signals.stop_requested());
}

TEST(Signals, TerminationActsAtOnceOnAnotherThread) {
  ScopedSignals signals;
  std::atomic<int> calls{0};
  std::thread::id thread;
  signals.on_terminate([&] {
    thread = std::this_thread::get_id();
    ++calls;
  });
  raise(SIGTERM);
  EXPECT_TRUE(signals.stop_requested());
  EXPECT_TRUE(comes_true([&] { return calls == 1; }));
  signals.on_terminate({});
  EXPECT_NE(thread, std::this_thread::get_id());
  EXPECT_EQ(calls, 1);
}

TEST(Signals, TheFirstThatAsksToStopIsAnsweredOnceAndBeforeTheAction) {
  ScopedSignals signals;
  EXPECT_EQ(signals.seconds_since_termination(), 0.0);
  std::atomic<int> told{0}, of_termination{0}, told_before_action{-1};
  signals.on_stop_asked([&](bool terminates) {
    ++told;
    of_termination += terminates;
  });
  signals.on_terminate([&] { told_before_action = told.load(); });
  raise(SIGUSR2);  // asks for no stop
  raise(SIGTERM);
  EXPECT_TRUE(comes_true([&] { return told_before_action == 1; }));
  raise(SIGUSR1);
  signals.on_stop_asked({});
  EXPECT_EQ(told, 1);
  EXPECT_EQ(of_termination, 1);
  EXPECT_GT(signals.seconds_since_termination(), 0.0);
}

TEST(Signals, ARequestToStopIsAnsweredWithoutTermination) {
  ScopedSignals signals;
  raise(SIGUSR1);
  std::atomic<int> told{0}, of_termination{0};
  signals.on_stop_asked([&](bool terminates) {
    ++told;
    of_termination += terminates;
  });
  EXPECT_TRUE(comes_true([&] { return told == 1; }));
  EXPECT_EQ(of_termination, 0);
  EXPECT_EQ(signals.seconds_since_termination(), 0.0);
}

TEST(Signals, TerminationThatCameBeforeTheActionIsNotForgotten) {
  ScopedSignals signals;
  raise(SIGINT);
  std::atomic<int> calls{0};
  signals.on_terminate([&] { ++calls; });
  EXPECT_TRUE(comes_true([&] { return calls == 1; }));
  signals.on_terminate({});
}

TEST(Signals, AnActionThatThrowsEndsNothing) {
  ScopedSignals signals;
  std::atomic<int> calls{0};
  signals.on_terminate([&] {
    ++calls;
    throw IoError("no space");
  });
  raise(SIGTERM);
  EXPECT_TRUE(comes_true([&] { return calls == 1; }));
}

/// How a child ends that does this.
template <class Work>
int status_of_child(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(Signals, ASecondTerminationEndsTheProcess) {
  const int status = status_of_child([] {
    ScopedSignals signals;
    raise(SIGTERM);
    raise(SIGTERM);
    std::this_thread::sleep_for(60s);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(Signals, AreHandledAsBeforeAfterwards) {
  const int status = status_of_child([] {
    { ScopedSignals signals; }
    raise(SIGUSR1);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGUSR1);
}

TEST(Signals, AreHandledByOneObjectAtATime) {
  {
    ScopedSignals first;
    EXPECT_THROW(ScopedSignals second, InternalError);
  }
  EXPECT_NO_THROW(ScopedSignals third);
}

}  // namespace
}  // namespace dwgf
