// The GPU collectives as they are linked: the libraries' versions, and either a round of collectives on every
// rank's own GPU against MPI, or, where there is none, the refusal that users get. Exit code 0 if that is
// what happened.
#include <cstdio>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"

int main(int argc, char** argv) {
  using namespace dwgf;
  MpiSession session(argc, argv);
  Communicator world = Communicator::world();
  const bool first = world.rank() == 0;
  const std::vector<LibraryVersions> libraries = device_backend().libraries();
  for (const LibraryVersions& library : libraries) {
    if (first)
      std::printf("%s %s, compiled with %s\n", library.name.c_str(), library.loaded.c_str(),
                  library.compiled.c_str());
  }
  try {
    const RankDevice own = device_of_rank(world);
    if (own.shared) throw UsageError("{}, and NCCL connects no GPU with itself", *own.shared);
    device_backend()
        .connect(world, own.device.index, [] { return nullptr; })
        ->barrier();  // the default stream computes
    if (first) std::printf("%d ranks met on their GPUs\n", world.size());
  } catch (const UsageError& error) {
    if (first) std::printf("no collective was tried: %s\n", error.what());
  } catch (const Error& error) {
    std::fprintf(stderr, "rank %d: %s\n", world.rank(), error.what());
    return 1;
  }
  return libraries.empty() ? 1 : 0;
}
