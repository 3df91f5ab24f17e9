#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "comm/throw_on_all.hpp"
#include "comm/watchdog.hpp"
#include "support/faulty_collective.hpp"

namespace dwgf {
namespace {

template <class Call>
std::string error_text(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Communicator, KnowsItsPlace) {
  const Communicator world = Communicator::world();
  EXPECT_GE(world.rank(), 0);
  EXPECT_LT(world.rank(), world.size());
  EXPECT_EQ(Communicator::self().size(), 1);
}

TEST(Communicator, SplitsByColourAndKey) {
  const Communicator world = Communicator::world();
  const Communicator reversed = world.split(0, -world.rank());
  EXPECT_EQ(reversed.rank(), world.size() - 1 - world.rank());
  const Communicator parity = world.split(world.rank() % 2, 0);
  EXPECT_EQ(parity.rank(), world.rank() / 2);
  const Communicator nested = parity.split(0, 0).split(0, parity.rank());
  EXPECT_EQ(nested.size(), parity.size());
  EXPECT_THROW(world.split(-1, 0), InternalError);
}

TEST(Communicator, AllToAllGivesEveryRankItsBlockOfAllInRankOrder) {
  Communicator world = Communicator::world();
  const int size = world.size();
  std::vector<int> sent, received(static_cast<std::size_t>(2 * size), -1);
  for (int to = 0; to < size; ++to) sent.insert(sent.end(), {world.rank(), to});
  world.all_to_all(std::as_bytes(std::span(sent)), std::as_writable_bytes(std::span(received)));
  for (int from = 0; from < size; ++from) {
    EXPECT_EQ(received[static_cast<std::size_t>(2 * from)], from);
    EXPECT_EQ(received[static_cast<std::size_t>(2 * from + 1)], world.rank());
  }
  world.all_to_all({}, {});
  std::vector<std::byte> other(1);
  EXPECT_THROW(world.all_to_all({}, other), InternalError);

  SelfCollective alone;
  alone.all_to_all(std::as_bytes(std::span(sent)), std::as_writable_bytes(std::span(received)));
  EXPECT_EQ(received, sent);
  EXPECT_THROW(alone.all_to_all({}, other), InternalError);
  EXPECT_EQ(alone.broadcast_text("as it is", 0), "as it is");
}

TEST(Communicator, AnAllToAllThatWaitsIsAPhaseOfTheWatchdog) {
  Communicator world = Communicator::world();
  FaultyCollective faulty(world);
  Watchdog watchdog({world.rank(), world.size(), "here"}, Watchdog::Seconds(0.05));
  WatchedCollective watched(faulty, watchdog);
  std::string told;
  std::vector<int> sent(static_cast<std::size_t>(world.size()), 7), received(sent.size());
  {
    const WatchdogThread thread(
        watchdog,
        [&](const std::string& complaint) {
          told = complaint;
          faulty.release();
        },
        std::chrono::milliseconds(5));
    faulty.command(FaultyCollective::Fault::hang);
    watched.all_to_all(std::as_bytes(std::span(sent)), std::as_writable_bytes(std::span(received)));
    watchdog.rest();
  }
  EXPECT_EQ(received, sent);
  EXPECT_NE(told.find("all-to-all of"), std::string::npos) << told;
}

TEST(Communicator, Moves) {
  const Communicator world = Communicator::world();
  Communicator first = world.split(0, world.rank());
  Communicator second = std::move(first);
  Communicator third = world.split(1, world.rank());
  third = std::move(second);
  Communicator& same = third;
  third = std::move(same);
  ASSERT_EQ(third.size(), world.size());
  third.barrier();
}

TEST(Communicator, ErrorsNameTheOperationItsSizeAndTheGroup) {
  Communicator world = Communicator::world();
  std::vector<std::byte> bytes(12);
  const std::string text = error_text([&] { world.broadcast(bytes, 99); });
  EXPECT_NE(text.find("broadcast of 12 bytes in a group of " + std::to_string(world.size())),
            std::string::npos)
      << text;
  const bool of_open_mpi = text.find("MPI_ERR_ROOT") != std::string::npos;
  EXPECT_TRUE(of_open_mpi || text.find("Invalid root") != std::string::npos) << text;  // or MPICH's words
  EXPECT_THROW(world.broadcast(bytes, 99), RankError);
  EXPECT_THROW(world.broadcast({}, -1), RankError);
  EXPECT_THROW(world.post(world.size(), std::vector<std::int64_t>{1}), RankError);
  // A group made by split returns its errors too, and works on after one.
  Communicator group = world.split(0, 0);
  EXPECT_THROW(group.broadcast(bytes, 99), RankError);
  group.barrier();
}

TEST(Communicator, PostsArriveOnceAndInOrder) {
  Communicator world = Communicator::world();
  Communicator group = world.split(0, world.rank());
  constexpr int rounds = 50;
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int to = 0; to < group.size(); ++to) group.post(to, std::vector<std::int64_t>{group.rank(), round});
  }
  std::vector<std::int64_t> next(group.size(), 0);
  std::int64_t taken = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (taken < rounds * group.size() && std::chrono::steady_clock::now() < deadline) {
    const auto message = group.poll(4);
    if (message.empty()) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(message.size(), 2u);
    EXPECT_EQ(message[1], next.at(message[0])++);
    ++taken;
  }
  EXPECT_EQ(taken, rounds * group.size());
  EXPECT_TRUE(group.poll(4).empty());
  group.barrier();
}

TEST(Communicator, PostsThatNobodyTakesDoNotHoldAnyoneUp) {
  Communicator world = Communicator::world();
  for (std::size_t count : {1u, 100000u}) {  // sent at once, and only when asked for
    Communicator group = world.split(0, world.rank());
    group.post((group.rank() + 1) % group.size(), std::vector<std::int64_t>(count, 3));
    group.barrier();
  }
  world.barrier();
}

TEST(Communicator, APostTooLargeIsRefusedAndGone) {
  Communicator world = Communicator::world();
  Communicator group = world.split(0, world.rank());
  const int to = (group.rank() + 1) % group.size();
  group.post(to, std::vector<std::int64_t>(5, 1));
  group.post(to, std::vector<std::int64_t>{2});
  const auto poll = [&] {
    std::vector<std::int64_t> message;
    while (message.empty()) message = group.poll(1);
    return message;
  };
  EXPECT_THROW(poll(), InternalError);
  EXPECT_EQ(poll(), std::vector<std::int64_t>{2});
}

TEST(Agree, NothingFails) {
  Communicator world = Communicator::world();
  int ran = 0;
  throw_on_all(world, [&] { ++ran; });
  run_on_root(world, [&] { ran += 10; });
  EXPECT_EQ(ran, world.rank() == 0 ? 11 : 1);
}

TEST(Agree, EveryRankThrowsTheErrorOfTheFirstThatFailed) {
  Communicator world = Communicator::world();
  for (int failing = 0; failing < world.size(); ++failing) {
    const std::string text = error_text([&] {
      throw_on_all(world, [&] {
        if (world.rank() >= failing) throw DataError("bad {} \xC3\xA4", world.rank());
      });
    });
    const std::string where = failing == 0 ? "" : formatted("rank {}: ", failing);
    EXPECT_EQ(text, formatted("{}bad {} \xC3\xA4", where, failing));
  }
  EXPECT_THROW(run_on_root(world, [] { throw IoError("x"); }), IoError);
  EXPECT_THROW(run_on_root(world, [] { throw NotFoundError("x"); }), NotFoundError);
  EXPECT_THROW(run_on_root(world, [] { throw std::bad_alloc(); }), InternalError);
}

TEST(Launcher, SilentSingletonsAreRefused) {
  EXPECT_NO_THROW(require_launcher_agrees(0, 1));
  EXPECT_NO_THROW(require_launcher_agrees(1, 1));
  EXPECT_NO_THROW(require_launcher_agrees(4, 4));
  EXPECT_NO_THROW(require_launcher_agrees(8, 4));  // a step on fewer tasks than the allocation has
  EXPECT_THROW(require_launcher_agrees(4, 1), UsageError);
}

TEST(Session, OneInAProcess) {
  int argc = 0;
  char** argv = nullptr;
  EXPECT_THROW(MpiSession(argc, argv), InternalError);
}

TEST(Host, HasAName) {
  EXPECT_FALSE(host_name().empty());
}

}  // namespace
}  // namespace dwgf
