/// The program from its arguments to its exit code, as a function. An error that all ranks share is told once
/// and ends the job in order; one that a single rank has ends every rank at once. After MPI_Finalize rank 0
/// returns the code and the others 0, so that mpirun and srun pass it on. A command that only reads starts no
/// MPI where nobody else was started.
#pragma once

#include <span>
#include <string>

#include "app/commands.hpp"

namespace dwgf {

struct ProgramParts {
  std::string front = "/proc/self/exe";  ///< the program that starts without LibTorch; it probes HDF5 files
  /// Where LibTorch is loaded. Empty: this process becomes the tensor program for such a command.
  std::span<const TensorCommand> tensor_commands = {};
};

/// Runs `argv` and returns the process's exit code. At most once in a process, as it may start MPI.
int program(int argc, char** argv, const ProgramParts& parts = {});

}  // namespace dwgf
