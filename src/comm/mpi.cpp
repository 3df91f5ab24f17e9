#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "comm/detail/communicator_impl.hpp"

namespace dwgf {

MpiSession::MpiSession(int& argc, char**& argv) {
  int already = 0;
  check_mpi(MPI_Initialized(&already), {"asking whether MPI runs"});
  if (already) throw InternalError("MPI is running already: one session in a process");
  int level = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level), {"starting MPI"});
  for (MPI_Comm comm : {MPI_COMM_WORLD, MPI_COMM_SELF}) {
    check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), {"setting the error handler", 0, comm});
  }
  if (level < MPI_THREAD_MULTIPLE) {
    MPI_Finalize();
    throw RankError(
        "this MPI does not let several threads call it (MPI_THREAD_MULTIPLE is needed: beside the main "
        "thread, "
        "one gives out the images and one ends the job when it hangs); use an MPI built with thread support");
  }
}

MpiSession::~MpiSession() {
  // Finalize waits for every rank; one that leaves by an error is alone.
  if (std::uncaught_exceptions() > 0) end_all_ranks(static_cast<int>(ExitCode::internal));
  MPI_Finalize();
}

void end_all_ranks(int code) {
  // MPI_Abort itself waits for the launcher, which a dead link keeps it from reaching.
  std::thread([code] {
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::_Exit(code);
  }).detach();
  int running = 0;
  if (MPI_Initialized(&running) == MPI_SUCCESS && running) MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

LibraryVersions mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) length = 0;
  std::string loaded(text, static_cast<std::size_t>(length));
  loaded = loaded.substr(0, loaded.find_first_of(",\n"));
#ifdef OMPI_MAJOR_VERSION
  const std::string compiled =
      formatted("Open MPI v{}.{}.{}", OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION);
#elif defined(MPICH_VERSION)
  const std::string compiled = formatted("MPICH Version: {}", MPICH_VERSION);
#else
  const std::string compiled = "another MPI";
#endif
  return {"MPI", compiled, loaded};
}

void require_launcher_agrees(int announced, int world_size) {
  if (announced <= 1 || world_size != 1) return;
  throw UsageError(
      "the launcher announces {} tasks, but MPI sees 1 rank: the program would run {} times side by side on "
      "the same files. The launcher belongs to another MPI than the one this program was built with. Start "
      "it with that MPI's own mpirun, or under Slurm with srun --mpi=pmix (srun --mpi=list names what there "
      "is).",
      announced, announced);
}

}  // namespace dwgf
