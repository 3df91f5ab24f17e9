// Preloaded into a program, it lets the memory of one MPI rank run out: an allocation as LibTorch makes them
// for tensors finds none if it is of more than so many bytes. Told by variables of the environment, because
// nothing of the program under test shall know of it:
//
//   DWGF_MEMORY_RANK     the rank
//   DWGF_MEMORY_LARGEST  what it still gets, in bytes
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>

extern "C" int posix_memalign(void** memory, size_t alignment, size_t size) noexcept {
  static const auto next =
      reinterpret_cast<int (*)(void**, size_t, size_t)>(dlsym(RTLD_NEXT, "posix_memalign"));
  static const char* const open_mpi = std::getenv("OMPI_COMM_WORLD_RANK");
  static const char* const own = open_mpi ? open_mpi : std::getenv("PMI_RANK");
  static const char* const rank = std::getenv("DWGF_MEMORY_RANK");
  static const char* const largest = std::getenv("DWGF_MEMORY_LARGEST");
  if (rank && largest && std::strcmp(own ? own : "0", rank) == 0 &&
      size > static_cast<size_t>(std::atoll(largest)))
    return ENOMEM;
  return next(memory, alignment, size);
}
