#include "comm/device.hpp"

#include <algorithm>
#include <map>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/grid.hpp>

#include "comm/throw_on_all.hpp"

namespace dwgf {

int choose_device(int local_rank, int local_size, int visible, const std::string& host) {
  if (visible == 0) {
    throw UsageError("no GPU is visible on host {}; ask the batch system for GPUs, or set run.device = cpu",
                     host);
  }
  if (visible == 1) return 0;  // bound by the launcher, or shared by mistake: the UUIDs will tell
  if (local_rank >= visible) {
    throw UsageError("host {} runs {} ranks but has {} GPUs; start one rank a GPU, or set run.device = cpu",
                     host, local_size, visible);
  }
  return local_rank;
}

void require_distinct_devices(std::span<const std::string> uuids, std::span<const std::string> hosts) {
  std::map<std::string, std::size_t> holder;
  for (std::size_t rank = 0; rank < uuids.size(); ++rank) {
    const auto [first, is_new] = holder.emplace(uuids[rank], rank);
    if (is_new) continue;
    throw UsageError(
        "ranks {} and {} on host {} have the same GPU ({}); start one rank a GPU, or let the launcher bind "
        "each rank to its own (srun --gpus-per-task=1)",
        first->second, rank, hosts[rank], uuids[rank]);
  }
}

Device device_of_rank(Communicator& world) {
  const std::vector<int> nodes = nodes_of_ranks(world);
  const auto own = static_cast<std::size_t>(world.rank());
  const auto before = nodes.begin() + world.rank();
  const auto local_rank = static_cast<int>(std::count(nodes.begin(), before, nodes[own]));
  const auto local_size = static_cast<int>(std::count(nodes.begin(), nodes.end(), nodes[own]));

  Device device;
  throw_on_all(world, [&] {
    const std::vector<Device> visible = device_backend().visible();
    const int index = choose_device(local_rank, local_size, static_cast<int>(visible.size()), host_name());
    device = visible[static_cast<std::size_t>(index)];
  });
  std::vector<std::string> uuids, hosts;
  for (int rank = 0; rank < world.size(); ++rank) {
    uuids.push_back(world.broadcast_text(device.uuid, rank));
    hosts.push_back(world.broadcast_text(host_name(), rank));
  }
  require_distinct_devices(uuids, hosts);
  return device;
}

}  // namespace dwgf
