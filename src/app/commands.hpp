/// The commands, one row each. What they take stands in the option table; here is how they run.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/signals.hpp"
#include "input/settings.hpp"

namespace dwgf {

/// What a command runs with.
struct CommandCall {
  Collective& world;
  Communicator* mpi = nullptr;  ///< the same ranks, where MPI was started
  const Settings& settings;
  ScopedSignals* signals = nullptr;  ///< of a command that can be stopped
};
using CommandFunction = ExitCode (*)(const CommandCall&);

struct Command {
  std::string_view name;
  bool starts_mpi = false;    ///< also where no launcher started the process: images are shared, or a file is
                              ///< made by MPI-IO
  bool on_all_ranks = false;  ///< otherwise rank 0 runs it, and the others wait
  bool stoppable = false;     ///< heeds signals from its first moment on
  CommandFunction run = nullptr;  ///< null where it computes with tensors: see TensorCommand
};

/// A command of the tensor program, which the program starts for it: what starts no tensors never loads
/// LibTorch.
struct TensorCommand {
  std::string_view name;
  CommandFunction run;
};

/// Every command of the option table. To add one, add its row here and its options there; one that computes
/// with tensors has its function in tensor_commands().
std::span<const Command> commands();

/// @pre the option table has a command of this name. Throws InternalError without a row of it
const Command& command_named(const std::string& name);

}  // namespace dwgf
