/// The process grid: world = image groups x particle ranks. Groups never wait for each other; the ranks of
/// one group share the particles of one image, and exchange them every step, so a group lies on one node
/// where it can. The world need not divide evenly: one group is smaller then.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

/// Where a rank stands; pure arithmetic.
struct GridPlace {
  int groups = 1;      ///< image groups
  int group = 0;       ///< this rank's group
  int group_rank = 0;  ///< its place in the group
  int group_size = 1;
};

/// Every node's ranks fill groups of `ranks_per_image` in rank order; what is left over on the nodes fills
/// groups in the order of nodes, of which the last may be smaller. So there are ceil(ranks / ranks_per_image)
/// groups, as few as possible that span nodes by need of filling them, and all but one are full. Groups are
/// numbered by their lowest rank; the first has world rank 0 first. `nodes` holds a label of every rank's
/// node.
/// @pre 1 <= ranks_per_image; more than there are ranks means one group of all. Throws UsageError.
GridPlace place_in_grid(int world_rank, std::span<const int> nodes, int ranks_per_image);

/// Collective: for every rank of `world` the lowest rank that shares its node (its memory).
std::vector<int> nodes_of_ranks(const Communicator& world);

/// The particles of one image over the ranks of a group, in whole micro-batches: rank r takes micro-batches
/// [r q, min((r + 1) q, B)) with B = ceil(particles / micro_batch), q = ceil(B / group_size). The
/// concatenation over ranks is in particle order; late ranks may have none.
struct ParticleShare {
  std::int64_t particles = 0;         ///< N
  std::int64_t micro_batch = 1;       ///< samples in every kernel call, exactly
  std::int64_t batches_per_rank = 0;  ///< q, the same on every rank: the slots an exchange has
  std::int64_t first_batch = 0;       ///< this rank's
  std::int64_t batches = 0;           ///< this rank's

  std::int64_t first_particle() const;  ///< particle index of this rank's first sample, at most N
  std::int64_t count() const;           ///< this rank's particles, without padding
};

/// @pre particles, micro_batch, group_size >= 1, 0 <= group_rank < group_size. Throws UsageError.
ParticleShare share_particles(std::int64_t particles, std::int64_t micro_batch, int group_rank,
                              int group_size);

class ProcessGrid {
 public:
  /// Collective over `world`.
  ProcessGrid(const Communicator& world, int ranks_per_image);
  /// The same with nodes as given, the same on all ranks (for tests: one machine as several nodes).
  ProcessGrid(const Communicator& world, std::span<const int> nodes, int ranks_per_image);

  const GridPlace& place() const { return place_; }
  /// The ranks that share this rank's images.
  Communicator& group() { return group_; }

 private:
  GridPlace place_;
  Communicator group_;
};

}  // namespace dwgf
