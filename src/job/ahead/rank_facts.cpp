#include "job/ahead/rank_facts.hpp"

#include <chrono>
#include <string>

#include <sched.h>
#include <torch/version.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "job/memory_plan.hpp"
#include "store/library_versions.hpp"

namespace dwgf {

namespace {

std::vector<int> allowed_processors() {
  cpu_set_t set;
  std::vector<int> processors;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &set)) processors.push_back(processor);
  }
  return processors;
}

RankFacts own_facts(Communicator& world) {
  RankFacts facts;
  facts.host = host_name();
  facts.processors = allowed_processors();
  facts.host_processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  facts.memory_available = host_memory_available();
  facts.libraries = {mpi_library()};
  for (const LibraryVersions& library : file_libraries()) facts.libraries.push_back(library);
  facts.libraries.push_back({"LibTorch", TORCH_VERSION, TORCH_VERSION});
  world.barrier();
  facts.clock = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return facts;
}

}  // namespace

std::vector<RankFacts> facts_of_all(Communicator& world) {
  const std::string own = own_facts(world).json();
  std::vector<RankFacts> all;
  for (int rank = 0; rank < world.size(); ++rank)
    all.push_back(RankFacts::from_json(world.broadcast_text(own, rank)));
  return all;
}

}  // namespace dwgf
