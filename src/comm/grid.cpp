#include <algorithm>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/grid.hpp>

namespace dwgf {

GridPlace place_in_grid(int world_rank, int world_size, int ranks_per_image) {
  if (world_size < 1 || world_rank < 0 || world_rank >= world_size) {
    throw UsageError(concat("rank ", world_rank, " is not one of a world of ", world_size));
  }
  if (ranks_per_image < 1) {
    throw UsageError(
        concat("run.ranks_per_image = ", ranks_per_image, ": at least 1 rank has to work on an image"));
  }
  const int full = std::min(ranks_per_image, world_size);
  GridPlace place;
  place.groups = 1 + (world_size - 1) / full;
  place.group = world_rank / full;
  place.group_rank = world_rank % full;
  place.group_size = std::min(full, world_size - place.group * full);
  return place;
}

std::int64_t ParticleShare::first_particle() const {
  return std::min(first_batch * micro_batch, particles);
}

std::int64_t ParticleShare::count() const {
  return std::min((first_batch + batches) * micro_batch, particles) - first_particle();
}

ParticleShare share_particles(std::int64_t particles, std::int64_t micro_batch, int group_rank,
                              int group_size) {
  if (particles < 1) throw UsageError(concat("flow.particles = ", particles, ": at least 1 is needed"));
  if (micro_batch < 1) throw UsageError(concat("flow.micro_batch = ", micro_batch, ": at least 1 is needed"));
  if (group_size < 1 || group_rank < 0 || group_rank >= group_size) {
    throw UsageError(concat("rank ", group_rank, " is not one of a group of ", group_size));
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

ProcessGrid::ProcessGrid(const Communicator& world, int ranks_per_image)
    : place_(place_in_grid(world.rank(), world.size(), ranks_per_image)),
      group_(world.split(place_.group, place_.group_rank)) {}

}  // namespace dwgf
