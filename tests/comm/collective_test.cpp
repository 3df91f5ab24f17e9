// The collectives of every group against plain MPI on the same data.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <mpi.h>
#include <sys/mman.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "comm/detail/mpi_check.hpp"
#include "comm/mpi_handle.hpp"

namespace dwgf {
namespace {

// Numbers that differ between ranks, places and rounds.
std::vector<std::int64_t> numbers(std::size_t count, int rank, int round) {
  std::vector<std::int64_t> values(count);
  std::uint64_t state = 0x9E3779B97F4A7C15ull * static_cast<std::uint64_t>(rank * 131 + round + 1);
  for (auto& value : values) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    value = static_cast<std::int64_t>(state) >> 8;
  }
  return values;
}

// Every shape of group that the world can be split into: all, alone, halves, odd and even, reversed order.
void for_each_group(const std::function<void(Communicator&, const std::string&)>& body) {
  Communicator world = Communicator::world();
  const int rank = world.rank();
  body(world, "world");
  Communicator self = Communicator::self();
  body(self, "self");
  const std::vector<std::pair<std::string, std::function<std::pair<int, int>(int)>>> splits = {
      {"all", [](int k) { return std::pair(0, k); }},
      {"alone", [](int k) { return std::pair(k, 0); }},
      {"pairs", [](int k) { return std::pair(k / 2, k); }},
      {"odd and even", [](int k) { return std::pair(k % 2, k); }},
      {"first and rest", [](int k) { return std::pair(k == 0 ? 7 : 3, k); }},
      {"reversed", [](int k) { return std::pair(0, -k); }}};
  for (const auto& [name, place] : splits) {
    const auto [colour, key] = place(rank);
    Communicator group = world.split(colour, key);
    body(group, name);
  }
}

TEST(Collective, GathersInRankOrderLikeMpi) {
  for_each_group([](Communicator& group, const std::string& name) {
    for (std::size_t count : {0u, 1u, 7u, 1000u, 100000u}) {
      const auto mine = numbers(count, group.rank(), static_cast<int>(count));
      std::vector<std::int64_t> all(count * group.size()), expected(all.size());
      group.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
      MPI_Allgather(mine.data(), static_cast<int>(count), MPI_INT64_T, expected.data(),
                    static_cast<int>(count), MPI_INT64_T, group.handle().value);
      EXPECT_EQ(all, expected) << name << ", " << count;
    }
  });
}

TEST(Collective, GathersInPlace) {
  for_each_group([](Communicator& group, const std::string& name) {
    std::vector<std::int64_t> all(5 * group.size(), -1), expected;
    for (int k = 0; k < group.size(); ++k) {
      const auto theirs = numbers(5, k, 1);
      expected.insert(expected.end(), theirs.begin(), theirs.end());
    }
    const auto own = std::span(all).subspan(5 * group.rank(), 5);
    std::copy_n(expected.begin() + 5 * group.rank(), 5, own.begin());
    group.all_gather(std::as_bytes(own), std::as_writable_bytes(std::span(all)));
    EXPECT_EQ(all, expected) << name;
  });
}

TEST(Collective, ReducesLikeMpi) {
  for_each_group([](Communicator& group, const std::string& name) {
    for (std::size_t count : {0u, 1u, 33u, 50000u}) {
      const auto mine = numbers(count, group.rank(), 3);
      auto sum = mine, largest = mine;
      std::vector<std::int64_t> expected_sum(count), expected_largest(count);
      group.all_reduce_sum(sum);
      group.all_reduce_max(largest);
      const MPI_Comm comm = group.handle().value;
      MPI_Allreduce(mine.data(), expected_sum.data(), static_cast<int>(count), MPI_INT64_T, MPI_SUM, comm);
      MPI_Allreduce(mine.data(), expected_largest.data(), static_cast<int>(count), MPI_INT64_T, MPI_MAX,
                    comm);
      EXPECT_EQ(sum, expected_sum) << name;
      EXPECT_EQ(largest, expected_largest) << name;
    }
  });
}

TEST(Collective, BroadcastsFromEveryRoot) {
  for_each_group([](Communicator& group, const std::string& name) {
    for (int root = 0; root < group.size(); ++root) {
      auto values = numbers(100, group.rank(), root);
      group.broadcast(std::as_writable_bytes(std::span(values)), root);
      EXPECT_EQ(values, numbers(100, root, root)) << name;
      const std::string text = std::string(root, 'x') + "\xC3\xA4 from " + std::to_string(root);
      EXPECT_EQ(group.broadcast_text(group.rank() == root ? text : "mine", root), text) << name;
      EXPECT_EQ(group.broadcast_text(group.rank() == root ? "" : "mine", root), "") << name;
    }
    group.barrier();
  });
}

TEST(Collective, TwoOperationsAreUnderWayAtOnce) {
  for_each_group([](Communicator& group, const std::string& name) {
    const auto mine = numbers(2000, group.rank(), 5);
    std::vector<std::int64_t> all(mine.size() * group.size());
    std::vector<std::int64_t> sum(300, group.rank() + 1);
    auto gather =
        group.start_all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
    auto reduce = group.start_all_reduce_sum(sum);
    while (!reduce->advance()) gather->advance();
    reduce->wait();  // nothing left to wait for
    gather->wait();
    gather->wait();
    EXPECT_EQ(sum, std::vector<std::int64_t>(300, group.size() * (group.size() + 1) / 2)) << name;
    for (int k = 0; k < group.size(); ++k) {
      EXPECT_TRUE(
          std::equal(all.begin() + k * 2000, all.begin() + (k + 1) * 2000, numbers(2000, k, 5).begin()))
          << name;
    }
  });
}

TEST(Collective, AHandleThatIsDroppedCompletes) {
  for_each_group([](Communicator& group, const std::string& name) {
    std::vector<std::int64_t> sum(70000, 1);
    { const auto dropped = group.start_all_reduce_sum(sum); }
    EXPECT_EQ(sum, std::vector<std::int64_t>(70000, group.size())) << name;
  });
}

TEST(Collective, TheGroupOfOneAgreesWithMpiOnOneRank) {
  SelfCollective one;
  Communicator self = Communicator::self();
  const auto mine = numbers(12, 0, 9);
  for (Collective* group : {static_cast<Collective*>(&one), static_cast<Collective*>(&self)}) {
    EXPECT_EQ(group->rank(), 0);
    EXPECT_EQ(group->size(), 1);
    auto values = mine;
    group->all_reduce_sum(values);
    group->all_reduce_max(values);
    group->broadcast(std::as_writable_bytes(std::span(values)), 0);
    group->barrier();
    std::vector<std::int64_t> all(12);
    auto pending =
        group->start_all_gather(std::as_bytes(std::span(values)), std::as_writable_bytes(std::span(all)));
    pending->wait();
    EXPECT_TRUE(pending->advance());
    EXPECT_EQ(all, mine);
    EXPECT_THROW(group->all_gather(std::as_bytes(std::span(values)), {}), InternalError);
  }
}

TEST(Collective, MessagesBeyondMpisCountsAreOnePiece) {
  // The type of a message of 2 GiB and more, on a small scale.
  Communicator world = Communicator::world();
  for (std::size_t bytes : {1u, 63u, 64u, 65u, 128u, 1000u}) {
    const ByteType type(bytes, 64);
    int size = 0;
    MPI_Type_size(type.value(), &size);
    EXPECT_EQ(size, static_cast<int>(bytes));
    const std::string mine(bytes, static_cast<char>('a' + world.rank()));
    std::string all(bytes * world.size(), '.'), expected;
    MPI_Allgather(mine.data(), 1, type.value(), all.data(), 1, type.value(), MPI_COMM_WORLD);
    for (int k = 0; k < world.size(); ++k) expected += std::string(bytes, static_cast<char>('a' + k));
    EXPECT_EQ(all, expected);
  }
}

// A device's memory ends the process that touches it, as these pages do.
TEST(Serial, AGroupOfOneGathersInPlaceWithoutTouchingTheMemory) {
  constexpr std::size_t size = 4096;
  void* pages = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const std::span<std::byte> bytes(static_cast<std::byte*>(pages), size);
  SelfCollective one;
  one.all_gather(bytes, bytes);
  one.broadcast(bytes, 0);
  munmap(pages, size);
}

}  // namespace
}  // namespace dwgf
