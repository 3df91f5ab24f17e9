#include "comm/device.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/grid.hpp>

#include "comm/throw_on_all.hpp"

namespace dwgf {

namespace {

/// One device as the other ranks hear of it; without a UUID, none.
struct Seen {
  char uuid[63] = "";
  bool is_slice = false;
};

/// What every rank sees, in rank order, by one all-gather.
std::vector<std::vector<Seen>> seen_by_all(Communicator& world, const std::vector<Device>& visible) {
  std::int64_t most[1] = {static_cast<std::int64_t>(visible.size())};
  world.all_reduce_max(most);
  const auto room = static_cast<std::size_t>(most[0]);
  std::vector<Seen> own(room), table(room * static_cast<std::size_t>(world.size()));
  for (std::size_t k = 0; k < visible.size(); ++k) {
    std::strncpy(own[k].uuid, visible[k].uuid.c_str(), sizeof own[k].uuid - 1);
    own[k].is_slice = visible[k].is_slice;
  }
  world.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(table)));
  std::vector<std::vector<Seen>> all;
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(world.size()); ++rank) {
    const auto first = table.begin() + static_cast<std::ptrdiff_t>(rank * room);
    const auto end = std::find_if(first, first + static_cast<std::ptrdiff_t>(room),
                                  [](const Seen& device) { return device.uuid[0] == '\0'; });
    all.emplace_back(first, end);
  }
  return all;
}

/// What each rank of the world takes, its choice made among the ranks of its node.
std::vector<Seen> taken_by_all(const std::vector<std::vector<Seen>>& seen, std::span<const int> nodes,
                               int own_rank, int& own_index) {
  std::map<int, std::vector<std::size_t>> ranks_of;
  for (std::size_t rank = 0; rank < seen.size(); ++rank) ranks_of[nodes[rank]].push_back(rank);
  std::vector<Seen> taken(seen.size());
  for (const auto& [node, ranks] : ranks_of) {
    std::vector<std::vector<std::string>> uuids;
    for (const std::size_t rank : ranks) {
      uuids.emplace_back();
      for (const Seen& device : seen[rank]) uuids.back().emplace_back(device.uuid);
    }
    const std::vector<int> chosen = choose_devices(uuids);
    for (std::size_t k = 0; k < ranks.size(); ++k) {
      taken[ranks[k]] = seen[ranks[k]][static_cast<std::size_t>(chosen[k])];
      if (ranks[k] == static_cast<std::size_t>(own_rank)) own_index = chosen[k];
    }
  }
  return taken;
}

/// Collective over `world`.
std::optional<std::string> two_with_the_same(Communicator& world, const std::vector<Seen>& taken) {
  std::map<std::string, std::size_t> holder;
  for (std::size_t rank = 0; rank < taken.size(); ++rank) {
    const auto [first, is_new] = holder.emplace(taken[rank].uuid, rank);
    if (is_new) continue;
    const std::string host = world.broadcast_text(host_name(), static_cast<int>(rank));
    return formatted("ranks {} and {} on host {} have the same GPU ({})", first->second, rank, host,
                     taken[rank].uuid);
  }
  return std::nullopt;
}

}  // namespace

std::vector<int> choose_devices(std::span<const std::vector<std::string>> visible) {
  // Who sees fewer has less to choose from, and chooses first.
  std::vector<std::size_t> order(visible.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t rank) { return visible[rank].size(); });
  std::map<std::string, int> takers;
  std::vector<int> chosen(visible.size());
  for (const std::size_t rank : order) {
    const auto fewest =
        std::ranges::min_element(visible[rank], {}, [&](const std::string& uuid) { return takers[uuid]; });
    ++takers[*fewest];
    chosen[rank] = static_cast<int>(fewest - visible[rank].begin());
  }
  return chosen;
}

RankDevice device_of_rank(Communicator& world) {
  const std::vector<int> nodes = nodes_of_ranks(world);
  std::vector<Device> visible;
  throw_on_all(world, [&] {
    visible = device_backend().visible();
    if (visible.empty()) {
      throw UsageError("no GPU is visible on host {}; ask the batch system for GPUs, or set run.device = cpu",
                       host_name());
    }
  });
  int index = 0;
  const std::vector<Seen> taken = taken_by_all(seen_by_all(world, visible), nodes, world.rank(), index);
  return {visible[static_cast<std::size_t>(index)], two_with_the_same(world, taken),
          std::ranges::any_of(taken, &Seen::is_slice)};
}

}  // namespace dwgf
