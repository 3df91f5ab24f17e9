// The program from its arguments to its exit code. An error that all ranks share is told once and ends the
// job in order; one that a single rank has ends every rank at once. After MPI_Finalize the first rank returns
// the code and the others 0, so that mpirun and srun pass it on. A command that only reads starts no MPI
// where nobody else was started.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/operators/operator.hpp>

#include "app/completion.hpp"
#include "app/inspect.hpp"
#include "app/merge.hpp"
#include "app/probe_inputs.hpp"
#include "base/printable.hpp"
#include "base/signals.hpp"
#include "comm/throw_on_all.hpp"
#include "input/settings.hpp"
#include "job/degrade.hpp"
#include "job/doctor.hpp"
#include "job/rerun.hpp"
#include "job/restore.hpp"
#include "report/evaluate.hpp"
#include "report/export.hpp"
#include "report/report.hpp"
#include "service/launcher.hpp"
#include "store/hdf5_probe.hpp"
#include "store/library_versions.hpp"

namespace {

using namespace dwgf;

void tell(const std::string& command, const std::string& message) {
  std::fprintf(stderr, "dwgf%s%s: %s\n", command.empty() ? "" : " ", command.c_str(),
               printable(message).c_str());
}

/// 3. What goes wrong on one rank ends all of them. The lowest failing rank is the first to speak; the
///    others are ended by then.
[[noreturn]] void fail_alone(const Collective& world, const std::string& command, const std::string& message,
                             ExitCode code) {
  std::this_thread::sleep_for(std::chrono::milliseconds(150) * std::min(world.rank(), 20));
  tell(command, concat("[rank ", world.rank(), " of ", world.size(), " on ", host_name(), "] ", message));
  end_all_ranks(static_cast<int>(code));
}

bool wanted(const std::vector<std::string>& arguments, const std::string& flag) {
  return std::find(arguments.begin(), arguments.end(), flag) != arguments.end();
}

/// Those that share work on images between ranks, and those that make a results file, which HDF5 does by
/// MPI-IO.
bool needs_mpi(const std::string& command) {
  return command == "restore" || command == "degrade" || command == "doctor" || command == "merge";
}

/// What one rank does while the others wait.
template <class Command>
ExitCode on_first_rank(Collective& world, Command&& command) {
  ExitCode code = ExitCode::ok;
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() == 0) code = command();
  });
  return code;
}

void probe_on_first_rank(Collective& world, const Settings& settings) {
  on_first_rank(world, [&] {
    probe_inputs(settings);
    return ExitCode::ok;
  });
}

/// Help and what else only reads: for the first rank, while the others wait. Empty where it is neither.
std::optional<ExitCode> read_only(Collective& world, const std::vector<std::string>& arguments) {
  const std::string name = arguments.empty() ? "--help" : arguments.front();
  const auto print = [&](const std::string& text) {
    if (world.rank() == 0) std::fputs(text.c_str(), stdout);
    return ExitCode::ok;
  };
  if (name == "--help" || name == "help") {
    print(help_text());
    return arguments.empty() ? ExitCode::usage : ExitCode::ok;
  }
  if (name == "--version") return print(concat("dwgf ", version(), "\n", describe_build(), "\n"));
  const CommandSpec* command = find_command(name);
  if (!command) throw UsageError(unknown_command(name));
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (wanted(rest, "--help")) return print(help_text(*command));
  if (wanted(rest, "--help-operators") && (name == "restore" || name == "degrade"))
    return print(describe_operators());
  if (needs_mpi(name)) return std::nullopt;

  const Settings settings = parse_settings(*command, rest);
  if (name == "completion") return print(completion_script(settings.positionals.front()));
  probe_on_first_rank(world, settings);
  if (name == "evaluate") return evaluate_command(world, settings);
  return on_first_rank(world, [&] {
    if (name == "report") return report_command(settings);
    if (name == "export") return export_command(settings);
    if (name == "status") return status_command(settings);
    return verify_command(settings);
  });
}

ExitCode work(Communicator& world, const std::vector<std::string>& arguments,
              std::optional<ScopedSignals>& signals) {
  throw_on_all<CollectiveError>(world, [&] { require_launcher_agrees(announced_tasks(), world.size()); });
  if (const auto code = read_only(world, arguments)) return *code;
  const std::string& name = arguments.front();
  const Settings settings =
      parse_settings(*find_command(name), std::vector<std::string>(arguments.begin() + 1, arguments.end()));
  probe_on_first_rank(world, settings);
  if (name == "merge") return on_first_rank(world, [&] { return merge_command(settings); });
  if (name == "degrade") return degrade(world, settings);
  if (name == "doctor") return doctor(world, settings);
  const bool again = !settings.text("rerun").empty();
  return again ? rerun(world, settings, signals.value()) : restore(world, settings, signals.value());
}

/// 2. The command. What goes wrong on all ranks alike ends in order, told once. @return the first rank's
///    code, which is the job's; empty where `command` leaves the work to others
template <class Command>
std::optional<ExitCode> told(Collective& world, const std::string& name, Command&& command) {
  std::optional<ExitCode> code;
  try {
    try {
      code = command();
    } catch (const CollectiveError&) {
      throw;
    } catch (const UsageError& error) {
      throw CollectiveError(error.code(), error.what());  // every rank parsed the same words
    } catch (const NotFoundError& error) {
      throw CollectiveError(error.code(), error.what());
    }
  } catch (const CollectiveError& error) {
    if (world.rank() == 0) tell(name, error.what());
    code = error.code();
    world.barrier();
    if (any_hdf5_file_is_open()) end_all_ranks(static_cast<int>(*code));
  } catch (const Error& error) {
    fail_alone(world, name, error.what(), error.code());
  } catch (const std::exception& error) {
    fail_alone(world, name, concat("internal error: ", first_line(error.what())), ExitCode::internal);
  }
  // What was printed counts only once it is out.
  if (world.rank() == 0 && (std::fflush(stdout) != 0 || std::ferror(stdout)) && code == ExitCode::ok) {
    tell(name, "standard output could not be written (a full disk, or a closed pipe?)");
    code = ExitCode::io;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == kProbeArgument) return answer_probe(argv[2]);
  prepare_launch();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string name = !arguments.empty() && find_command(arguments.front()) ? arguments.front() : "";
  if (announced_tasks() <= 1) {
    SelfCollective alone;
    if (const auto code = told(alone, name, [&] { return read_only(alone, arguments); }))
      return static_cast<int>(*code);
  }

  // 1. MPI, on any number of ranks, one included. A job that can be stopped and gone on with heeds signals
  //    from the first moment on.
  std::optional<ScopedSignals> signals;
  if (name == "restore") signals.emplace();
  MpiSession session(argc, argv);
  Communicator world = Communicator::world();
  const auto code = told(world, name, [&] { return work(world, arguments, signals); });
  return world.rank() == 0 ? static_cast<int>(code.value()) : 0;
}
