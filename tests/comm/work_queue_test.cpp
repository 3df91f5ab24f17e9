#include "comm/work_queue.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/comm/grid.hpp>

namespace dwgf {
namespace {

/// How often each item was taken, over all ranks.
std::vector<std::int64_t> counted(Communicator& world, const std::vector<std::int64_t>& taken,
                                  std::size_t items) {
  std::vector<std::int64_t> counts(items, 0);
  for (const std::int64_t item : taken) ++counts.at(static_cast<std::size_t>(item));
  world.all_reduce_sum(counts);
  return counts;
}

TEST(WorkQueue, EveryItemIsTakenOnceAndInOrder) {
  Communicator world = Communicator::world();
  for (const std::size_t items : {0u, 1u, 5u, 200u}) {
    WorkQueue queue(world, static_cast<std::int64_t>(items));
    std::vector<std::int64_t> taken;
    while (const auto item = queue.take()) taken.push_back(*item);
    EXPECT_TRUE(std::is_sorted(taken.begin(), taken.end()));
    EXPECT_EQ(counted(world, taken, items), std::vector<std::int64_t>(items, 1));
    EXPECT_FALSE(queue.take()) << "an empty queue stays empty";
  }
}

TEST(WorkQueue, ASlowRankLeavesTheItemsToTheOthers) {
  Communicator world = Communicator::world();
  constexpr std::size_t items = 50;
  WorkQueue queue(world, items);
  std::vector<std::int64_t> taken;
  if (world.size() > 1 && world.rank() == 1) {
    if (const auto item = queue.take()) taken.push_back(*item);
    world.barrier();  // busy with its one item until all others have ended
  } else {
    while (const auto item = queue.take()) taken.push_back(*item);
    world.barrier();
  }
  EXPECT_EQ(counted(world, taken, items), std::vector<std::int64_t>(items, 1));
}

TEST(WorkQueue, ARankThatOnlyServesGivesTheOthersEveryItemOnce) {
  Communicator world = Communicator::world();
  if (world.size() < 2) GTEST_SKIP() << "nobody is left to take";
  constexpr std::size_t items = 50;
  const int server = world.size() - 1;
  WorkQueue queue(world, items, server);
  std::vector<std::int64_t> taken;
  if (world.rank() == server) {
    queue.serve(world.size() - 1);
  } else {
    while (const auto item = queue.take()) taken.push_back(*item);
  }
  EXPECT_EQ(counted(world, taken, items), std::vector<std::int64_t>(items, 1));
}

TEST(WorkQueue, TheRanksOfAGroupTakeTogether) {
  Communicator world = Communicator::world();
  ProcessGrid grid(world, 2);
  constexpr std::size_t items = 20;
  WorkQueue queue(world, items);
  std::vector<std::int64_t> taken;
  while (const auto item = take_collectively(queue, grid.group())) {
    std::vector<std::int64_t> theirs(static_cast<std::size_t>(grid.group().size()));
    grid.group().all_gather(std::as_bytes(std::span(&*item, 1)), std::as_writable_bytes(std::span(theirs)));
    EXPECT_EQ(theirs, std::vector<std::int64_t>(theirs.size(), *item));
    if (grid.place().group_rank == 0) taken.push_back(*item);
  }
  EXPECT_EQ(counted(world, taken, items), std::vector<std::int64_t>(items, 1));
}

}  // namespace
}  // namespace dwgf
