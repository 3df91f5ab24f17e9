#include <algorithm>
#include <csignal>
#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/build_info.hpp"
#include "service/launcher.hpp"

namespace dwgf {

void prepare_launch() {
  // MPI may be asked for its version before it starts. A component that is not there would be an error.
  const std::string mpi = mpi_library().loaded;
  if (mpi.starts_with("Open MPI v4.")) setenv("OMPI_MCA_io", "romio321", 0);
  if (mpi.starts_with("Open MPI v5.")) setenv("OMPI_MCA_io", "romio341", 0);
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  // A rank that crashes dies at once, and the launcher ends the others. Open MPI's handler would print a
  // stack trace first, which allocates: of a crash inside malloc it never returns, and the job hangs.
  setenv("OMPI_MCA_opal_signal", "", 0);
  // A file-size limit of the batch system then shows as an error of the write, which is told, instead of as a
  // silent death.
  std::signal(SIGXFSZ, SIG_IGN);
#ifdef __GLIBC__
  // Left alone, the heap takes over ever larger tensors, whose gaps then cost a third of a step's memory.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

int announced_tasks() {
  int announced = 0;
  // Open MPI's mpirun, MPICH's hydra, and srun's steps (not the batch script, which runs one task of its
  // own).
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const char* value = std::getenv(name)) {
      announced = std::max(announced, static_cast<int>(parse_int64(value).value_or(0)));
    }
  }
  return announced;
}

int allocated_tasks() {
  if (announced_tasks() > 0) return 0;
  const char* value = std::getenv("SLURM_NTASKS");
  return value ? static_cast<int>(parse_int64(value).value_or(0)) : 0;
}

std::string launcher_identity() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  std::string text;
  if (const std::string job = variable("SLURM_JOB_ID"); !job.empty()) {
    text = "Slurm job " + job;
    if (const std::string array = variable("SLURM_ARRAY_JOB_ID"); !array.empty())
      text += formatted(" (task {} of array {})", variable("SLURM_ARRAY_TASK_ID"), array);
    if (const std::string restarts = variable("SLURM_RESTART_COUNT"); !restarts.empty())
      text += formatted(", restart {}", restarts);
    text += ", ";
  }
  if (!variable("OMPI_COMM_WORLD_SIZE").empty() && variable("SLURM_STEP_NUM_TASKS").empty())
    return text + "mpirun";
  if (!variable("SLURM_STEP_ID").empty()) return text + "srun step " + variable("SLURM_STEP_ID");
  if (!variable("PMI_SIZE").empty()) return text + "hydra";
  return text + "alone";
}

std::string version() {
  return build_info().version;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace dwgf
