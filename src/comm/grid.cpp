#include <algorithm>
#include <unordered_map>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/grid.hpp>

#include "comm/detail/mpi_check.hpp"
#include "comm/mpi_handle.hpp"

namespace dwgf {

namespace {

// The groups as lists of world ranks, ordered by their lowest.
std::vector<std::vector<int>> groups_on(std::span<const int> nodes, std::size_t full) {
  std::vector<std::vector<int>> ranks_of;   // by node, in order of their lowest ranks
  std::unordered_map<int, std::size_t> at;  // a node's place there
  for (int rank = 0; rank < static_cast<int>(nodes.size()); ++rank) {
    const auto [place, is_new] = at.try_emplace(nodes[static_cast<std::size_t>(rank)], ranks_of.size());
    if (is_new) ranks_of.emplace_back();
    ranks_of[place->second].push_back(rank);
  }
  std::vector<std::vector<int>> groups;
  std::vector<int> left_over;
  for (const std::vector<int>& ranks : ranks_of) {
    const std::size_t whole = ranks.size() / full * full;
    for (std::size_t first = 0; first < whole; first += full)
      groups.emplace_back(ranks.begin() + static_cast<std::ptrdiff_t>(first),
                          ranks.begin() + static_cast<std::ptrdiff_t>(first + full));
    left_over.insert(left_over.end(), ranks.begin() + static_cast<std::ptrdiff_t>(whole), ranks.end());
  }
  for (std::size_t first = 0; first < left_over.size(); first += full) {
    const std::size_t last = std::min(first + full, left_over.size());
    groups.emplace_back(left_over.begin() + static_cast<std::ptrdiff_t>(first),
                        left_over.begin() + static_cast<std::ptrdiff_t>(last));
    std::sort(groups.back().begin(), groups.back().end());
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

}  // namespace

GridPlace place_in_grid(int world_rank, std::span<const int> nodes, int ranks_per_image) {
  const auto world_size = static_cast<int>(nodes.size());
  if (world_size < 1 || world_rank < 0 || world_rank >= world_size) {
    throw UsageError("rank {} is not one of a world of {}", world_rank, world_size);
  }
  if (ranks_per_image < 1) {
    throw UsageError("run.ranks_per_image = {}: at least 1 rank has to work on an image", ranks_per_image);
  }
  const auto groups = groups_on(nodes, static_cast<std::size_t>(std::min(ranks_per_image, world_size)));
  for (std::size_t group = 0; group < groups.size(); ++group) {
    const auto found = std::find(groups[group].begin(), groups[group].end(), world_rank);
    if (found == groups[group].end()) continue;
    return {static_cast<int>(groups.size()), static_cast<int>(group),
            static_cast<int>(found - groups[group].begin()), static_cast<int>(groups[group].size())};
  }
  throw InternalError("rank {} is in no group", world_rank);
}

std::int64_t ParticleShare::first_particle() const {
  return std::min(first_batch * micro_batch, particles);
}

std::int64_t ParticleShare::count() const {
  return std::min((first_batch + batches) * micro_batch, particles) - first_particle();
}

ParticleShare share_particles(std::int64_t particles, std::int64_t micro_batch, int group_rank,
                              int group_size) {
  if (particles < 1) throw UsageError("flow.particles = {}: at least 1 is needed", particles);
  if (micro_batch < 1) throw UsageError("flow.micro_batch = {}: at least 1 is needed", micro_batch);
  if (group_size < 1 || group_rank < 0 || group_rank >= group_size) {
    throw UsageError("rank {} is not one of a group of {}", group_rank, group_size);
  }
  const std::int64_t all = 1 + (particles - 1) / micro_batch;
  ParticleShare share;
  share.particles = particles;
  share.micro_batch = micro_batch;
  share.batches_per_rank = 1 + (all - 1) / group_size;
  share.first_batch = std::min(group_rank * share.batches_per_rank, all);
  share.batches = std::min(share.batches_per_rank, all - share.first_batch);
  return share;
}

std::vector<int> nodes_of_ranks(const Communicator& world) {
  const MPI_Comm comm = world.handle().value;
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, world.rank(), MPI_INFO_NULL, &node),
            {"finding the ranks of a node", 0, comm});
  int lowest = world.rank();
  const int code = MPI_Bcast(&lowest, 1, MPI_INT, 0, node);
  MPI_Comm_free(&node);
  check_mpi(code, {"numbering the nodes", sizeof lowest, comm});
  std::vector<int> nodes(static_cast<std::size_t>(world.size()));
  check_mpi(MPI_Allgather(&lowest, 1, MPI_INT, nodes.data(), 1, MPI_INT, comm),
            {"numbering the nodes", sizeof lowest, comm});
  return nodes;
}

ProcessGrid::ProcessGrid(const Communicator& world, int ranks_per_image)
    : ProcessGrid(world, nodes_of_ranks(world), ranks_per_image) {}

ProcessGrid::ProcessGrid(const Communicator& world, std::span<const int> nodes, int ranks_per_image)
    : place_(place_in_grid(world.rank(), nodes, ranks_per_image)),
      group_(world.split(place_.group, place_.group_rank)) {}

}  // namespace dwgf
