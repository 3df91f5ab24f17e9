#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/grid.hpp>

namespace dwgf {
namespace {

std::vector<int> one_node(int ranks) {
  return std::vector<int>(static_cast<std::size_t>(ranks), 0);
}

TEST(Grid, EveryRankHasOnePlaceAndGroupsFillTheWorld) {
  for (int world = 1; world <= 24; ++world) {
    for (int wanted = 1; wanted <= 30; ++wanted) {
      std::vector<int> members(world, 0);
      for (int rank = 0; rank < world; ++rank) {
        const GridPlace place = place_in_grid(rank, one_node(world), wanted);
        ASSERT_GE(place.group, 0);
        ASSERT_LT(place.group, place.groups);
        ASSERT_EQ(place.group_rank, members[place.group]++) << "group ranks count up with the world rank";
        ASSERT_LT(place.group_rank, place.group_size);
        ASSERT_LE(place.group_size, wanted);
        if (place.group < place.groups - 1) {
          ASSERT_EQ(place.group_size, std::min(wanted, world)) << "only the last group may be smaller";
        }
      }
      for (int rank = 0; rank < world; ++rank) {
        const GridPlace place = place_in_grid(rank, one_node(world), wanted);
        ASSERT_EQ(place.group_size, members[place.group]);
      }
    }
  }
}

/// The world ranks of every group, in their order in it.
std::vector<std::vector<int>> groups_of(const std::vector<int>& nodes, int wanted) {
  std::vector<std::vector<int>> groups;
  for (int rank = 0; rank < static_cast<int>(nodes.size()); ++rank) {
    const GridPlace place = place_in_grid(rank, nodes, wanted);
    groups.resize(static_cast<std::size_t>(place.groups));
    auto& group = groups.at(static_cast<std::size_t>(place.group));
    group.resize(static_cast<std::size_t>(place.group_size), -1);
    EXPECT_EQ(group.at(static_cast<std::size_t>(place.group_rank)), -1) << "a place is taken twice";
    group[static_cast<std::size_t>(place.group_rank)] = rank;
  }
  return groups;
}

bool spans_nodes(const std::vector<int>& group, const std::vector<int>& nodes) {
  return std::any_of(group.begin(), group.end(), [&](int rank) {
    return nodes[static_cast<std::size_t>(rank)] != nodes[static_cast<std::size_t>(group.front())];
  });
}

TEST(Grid, GroupsLieOnOneNodeWhereTheyCan) {
  // Ranks by node in blocks, in turn, uneven, and with a node whose ranks are scattered.
  const std::vector<std::vector<int>> clusters = {
      {0, 0, 0, 0, 4, 4, 4, 4},          {0, 1, 0, 1, 0, 1, 0, 1}, {0, 0, 0, 3, 3, 3, 3, 3, 8, 8},
      {0, 1, 2, 0, 0, 1, 2, 2, 2, 0, 0}, {5, 5, 5, 5, 5, 5},       {0, 1, 2, 3, 4}};
  for (const std::vector<int>& nodes : clusters) {
    for (int wanted = 1; wanted <= 12; ++wanted) {
      const auto groups = groups_of(nodes, wanted);
      const std::size_t full = std::min(static_cast<std::size_t>(wanted), nodes.size());
      EXPECT_EQ(groups.size(), (nodes.size() + full - 1) / full);
      EXPECT_EQ(groups.front().front(), 0) << "the first rank leads the first group";
      std::size_t inside = 0, smaller = 0;
      for (const std::vector<int>& group : groups) {
        EXPECT_TRUE(std::is_sorted(group.begin(), group.end()));
        EXPECT_EQ(std::count(group.begin(), group.end(), -1), 0) << "a place nobody has";
        smaller += group.size() < full;
        inside += group.size() == full && !spans_nodes(group, nodes);
      }
      EXPECT_LE(smaller, 1u);
      std::size_t most = 0;  // full groups that the nodes have room for
      for (const int node : std::set<int>(nodes.begin(), nodes.end()))
        most += static_cast<std::size_t>(std::count(nodes.begin(), nodes.end(), node)) / full;
      EXPECT_GE(inside, most) << "groups of " << wanted;
    }
  }
}

TEST(Grid, GroupsLargerThanANodeTakeWholeNodes) {
  const std::vector<int> nodes = {0, 1, 2, 3, 0, 1, 2, 3};  // ranks dealt in turn
  const auto groups = groups_of(nodes, 4);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0], (std::vector<int>{0, 1, 4, 5}));
  EXPECT_EQ(groups[1], (std::vector<int>{2, 3, 6, 7}));
}

TEST(Grid, RanksOfThisMachineShareANodeAndFakedNodesAreKeptApart) {
  Communicator world = Communicator::world();
  EXPECT_EQ(nodes_of_ranks(world), one_node(world.size()));
  std::vector<int> nodes;
  for (int rank = 0; rank < world.size(); ++rank) nodes.push_back(rank % 2);
  ProcessGrid grid(world, nodes, 2);
  std::vector<std::int64_t> members(static_cast<std::size_t>(grid.group().size()));
  const std::int64_t mine = world.rank();
  grid.group().all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(members)));
  const auto expected = groups_of(nodes, 2)[static_cast<std::size_t>(grid.place().group)];
  EXPECT_EQ(members, std::vector<std::int64_t>(expected.begin(), expected.end()));
}

TEST(Grid, MoreRanksPerImageThanRanksMeansOneGroup) {
  const GridPlace place = place_in_grid(2, one_node(3), 8);
  EXPECT_EQ(place.groups, 1);
  EXPECT_EQ(place.group_size, 3);
  EXPECT_EQ(place.group_rank, 2);
}

TEST(Grid, NonsenseIsRefused) {
  EXPECT_THROW(place_in_grid(0, one_node(4), 0), UsageError);
  EXPECT_THROW(place_in_grid(0, one_node(4), -3), UsageError);
  EXPECT_THROW(place_in_grid(4, one_node(4), 1), UsageError);
  EXPECT_THROW(share_particles(0, 1, 0, 1), UsageError);
  EXPECT_THROW(share_particles(1, 0, 0, 1), UsageError);
  EXPECT_THROW(share_particles(1, 1, 1, 1), UsageError);
}

TEST(Grid, EveryParticleIsOnExactlyOneRankInOrder) {
  for (std::int64_t particles = 1; particles <= 40; ++particles) {
    for (std::int64_t micro_batch = 1; micro_batch <= 12; ++micro_batch) {
      for (int size = 1; size <= 9; ++size) {
        std::int64_t next = 0;
        for (int rank = 0; rank < size; ++rank) {
          const ParticleShare share = share_particles(particles, micro_batch, rank, size);
          ASSERT_EQ(share.first_particle(), next);
          ASSERT_GE(share.count(), 0);
          next += share.count();
          ASSERT_LE(share.batches, share.batches_per_rank);
          ASSERT_LE(share.count(), share.batches * micro_batch);
          ASSERT_GT(share.count() + micro_batch, share.batches * micro_batch) << "at most one batch is short";
          if (next < particles) {
            ASSERT_EQ(share.count(), share.batches_per_rank * micro_batch) << "only late ranks have less";
          }
          if (share.count() > 0) {
            ASSERT_EQ(share.first_particle() % micro_batch, 0) << "aligned to the particle";
          }
        }
        ASSERT_EQ(next, particles);
      }
    }
  }
}

TEST(Grid, MicroBatchesDoNotDependOnTheLayout) {
  // Which particles share a kernel call is the same on every number of ranks.
  for (int size = 1; size <= 9; ++size) {
    std::vector<std::int64_t> batch_of(23, -1);
    for (int rank = 0; rank < size; ++rank) {
      const ParticleShare share = share_particles(23, 4, rank, size);
      for (std::int64_t k = 0; k < share.count(); ++k) {
        batch_of[share.first_particle() + k] = share.first_batch + k / share.micro_batch;
      }
    }
    for (std::int64_t n = 0; n < 23; ++n) EXPECT_EQ(batch_of[n], n / 4);
  }
}

TEST(Grid, HugeNumbersDoNotOverflow) {
  const std::int64_t particles = std::int64_t{1} << 40;
  std::int64_t total = 0;
  for (int rank = 0; rank < 7; ++rank) total += share_particles(particles, 3, rank, 7).count();
  EXPECT_EQ(total, particles);
  EXPECT_EQ(share_particles(5, std::int64_t{1} << 60, 0, 3).count(), 5);
  EXPECT_EQ(share_particles(5, std::int64_t{1} << 60, 2, 3).count(), 0);
}

TEST(Grid, GroupsOfTheWorldAreAsPlanned) {
  const Communicator world = Communicator::world();
  for (int wanted = 1; wanted <= world.size() + 1; ++wanted) {
    ProcessGrid grid(world, wanted);
    EXPECT_EQ(grid.group().size(), grid.place().group_size);
    EXPECT_EQ(grid.group().rank(), grid.place().group_rank);
    std::vector<std::int64_t> sum{1, grid.place().group};
    grid.group().all_reduce_sum(sum);
    EXPECT_EQ(sum[0], grid.place().group_size);
    EXPECT_EQ(sum[1], std::int64_t{grid.place().group} * grid.place().group_size);
  }
}

}  // namespace
}  // namespace dwgf
