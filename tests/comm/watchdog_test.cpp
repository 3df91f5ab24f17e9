// The watchdog by a clock of the test's own, then on a group that hangs on command.
#include "comm/watchdog.hpp"

#include <atomic>
#include <string>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "comm/throw_on_all.hpp"
#include "support/faulty_collective.hpp"

namespace dwgf {
namespace {

using namespace std::chrono_literals;
using Fault = FaultyCollective::Fault;

const RankIdentity kRank{3, 8, "node7"};

bool complains(const Watchdog& watchdog, Watchdog::Seconds later) {
  const auto now = Watchdog::Clock::now() + std::chrono::duration_cast<Watchdog::Clock::duration>(later);
  return watchdog.complaint(now).has_value();
}

TEST(Watchdog, SpeaksWhenAPhaseTakesTooLongAndNotBefore) {
  Watchdog watchdog(kRank, 100s);
  watchdog.enter("computing");
  EXPECT_FALSE(complains(watchdog, 99s));
  EXPECT_TRUE(complains(watchdog, 101s));
}

TEST(Watchdog, ASignOfLifeCountsAnew) {
  Watchdog watchdog(kRank, 0.05s);
  watchdog.enter("computing");
  std::this_thread::sleep_for(60ms);
  EXPECT_TRUE(complains(watchdog, 0s));
  watchdog.at("a.png", 1);
  EXPECT_FALSE(complains(watchdog, 0s));
  std::this_thread::sleep_for(60ms);
  EXPECT_TRUE(complains(watchdog, 0s));
  watchdog.enter("writing");
  EXPECT_FALSE(complains(watchdog, 0s));
}

TEST(Watchdog, WhoWaitsGivesTheOthersALittleLonger) {
  Watchdog watchdog(kRank, 100s);
  watchdog.enter("all-gather of 8 bytes", true);
  EXPECT_FALSE(complains(watchdog, 109s));
  EXPECT_TRUE(complains(watchdog, 111s));
}

TEST(Watchdog, NamesRankHostPhaseImageAndStep) {
  Watchdog watchdog(kRank, 60s);
  watchdog.at("folder/a.png", 17);
  watchdog.enter("all-gather of 4096 bytes", true);
  const std::string text = *watchdog.complaint(Watchdog::Clock::now() + 90s);
  for (const char* part : {"rank 3 of 8", "node7", "all-gather of 4096 bytes", "folder/a.png", "step 17",
                           "run.watchdog_minutes = 1)", "1 min 30 s", "the same command goes on"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in: " << text;
}

TEST(Watchdog, RestAndNoLimitAreNeverTooLong) {
  Watchdog resting(kRank, 1s);
  resting.rest();
  EXPECT_FALSE(complains(resting, 1000h));
  resting.enter("computing");
  EXPECT_TRUE(complains(resting, 1000h));
  Watchdog unlimited(kRank, 0s);
  unlimited.enter("computing");
  EXPECT_FALSE(complains(unlimited, 1000h));
}

TEST(Watchdog, EveryCollectiveIsAPhaseAndThePhaseBeforeItComesBack) {
  Communicator world = Communicator::world();
  Watchdog watchdog({world.rank(), world.size(), "here"}, 60s);
  WatchedCollective watched(world, watchdog);
  watchdog.enter("computing");
  std::vector<std::int64_t> values(5, 1), gathered(static_cast<std::size_t>(world.size()));
  const std::int64_t mine = world.rank();
  auto gather = watched.start_all_gather(std::as_bytes(std::span(&mine, 1)),
                                         std::as_writable_bytes(std::span(gathered)));
  EXPECT_EQ(watchdog.phase(), "computing") << "what is only started keeps nobody waiting";
  gather->wait();
  EXPECT_EQ(watchdog.phase(), "computing");
  watched.all_reduce_sum(values);
  EXPECT_EQ(values, std::vector<std::int64_t>(5, world.size()));
  watched.all_reduce_max(gathered);
  watched.barrier();
  watched.broadcast(std::as_writable_bytes(std::span(values)), world.size() - 1);
  std::vector<std::int64_t> exchanged(static_cast<std::size_t>(world.size()));
  watched.all_to_all(std::as_bytes(std::span(gathered)), std::as_writable_bytes(std::span(exchanged)));
  EXPECT_EQ(exchanged, std::vector<std::int64_t>(exchanged.size(), gathered[static_cast<std::size_t>(mine)]));
  EXPECT_EQ(gathered.back(), world.size() - 1);
  EXPECT_EQ(watchdog.phase(), "computing");
}

TEST(Watchdog, AHangEndsWithItsPhaseTold) {
  Communicator world = Communicator::world();
  FaultyCollective faulty(world);
  Watchdog watchdog({world.rank(), world.size(), "here"}, 0.05s);
  WatchedCollective watched(faulty, watchdog);
  std::string told;
  std::vector<std::int64_t> values(3, 1);
  const bool hangs = world.rank() == world.size() - 1;
  {
    WatchdogThread thread(
        watchdog,
        [&](const std::string& complaint) {
          told = complaint;
          faulty.release();
        },
        5ms);
    watchdog.at("image", 4);
    watchdog.enter("computing");
    if (hangs) faulty.command(Fault::hang);
    watched.all_reduce_sum(values);
    watchdog.rest();
    world.barrier();
  }
  EXPECT_EQ(values.front(), world.size()) << "released, the operation completes";
  if (hangs) {
    EXPECT_NE(told.find("sum of 3 numbers"), std::string::npos) << told;
    EXPECT_NE(told.find("step 4"), std::string::npos) << told;
  }
}

TEST(Watchdog, ADelayBelowTheLimitIsNoHang) {
  SelfCollective self;
  FaultyCollective faulty(self);
  Watchdog watchdog(kRank, 3600s);
  WatchedCollective watched(faulty, watchdog);
  std::atomic<int> complaints = 0;
  {
    WatchdogThread thread(
        watchdog, [&](const std::string&) { ++complaints; }, 1ms);
    faulty.command(Fault::delay);
    std::vector<std::int64_t> values(3, 1);
    watched.all_reduce_sum(values);
  }
  EXPECT_EQ(complaints, 0);
}

TEST(FaultyCollective, FailsWhereItIsTold) {
  SelfCollective self;
  FaultyCollective faulty(self);
  std::vector<std::int64_t> values(3, 1);
  faulty.command(Fault::fail_to_start, 2);
  faulty.all_reduce_sum(values);
  faulty.all_reduce_max(values);
  EXPECT_THROW(faulty.start_all_reduce_sum(values), RankError);
  faulty.all_reduce_sum(values);
  faulty.command(Fault::fail_to_complete);
  auto pending = faulty.start_all_reduce_sum(values);
  EXPECT_THROW(pending->wait(), RankError);
  faulty.command(Fault::fail_to_complete);
  EXPECT_THROW(faulty.barrier(), RankError);
  EXPECT_EQ(faulty.operations(), 6);
}

TEST(FaultyCollective, AFailedCollectiveInsideAgreedWorkIsTheErrorOfAll) {
  Communicator world = Communicator::world();
  SelfCollective self;
  FaultyCollective faulty(self);
  if (world.rank() == world.size() - 1) faulty.command(Fault::fail_to_complete);
  const auto work = [&] {
    std::vector<std::int64_t> values(1, 1);
    faulty.all_reduce_sum(values);
  };
  EXPECT_THROW(throw_on_all(world, work), RankError) << "on every rank";
}

}  // namespace
}  // namespace dwgf
