// The program from its arguments to its exit code. An error that all ranks share is told once and ends the
// job in order; one that a single rank has ends every rank at once. After MPI_Finalize the first rank returns
// the code and the others 0, so that mpirun and srun pass it on.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/base/signals.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/operators/operator.hpp>
#include <dwgf/run/completion.hpp>
#include <dwgf/run/degrade.hpp>
#include <dwgf/run/doctor.hpp>
#include <dwgf/run/evaluate.hpp>
#include <dwgf/run/export.hpp>
#include <dwgf/run/inspect.hpp>
#include <dwgf/run/launcher.hpp>
#include <dwgf/run/merge.hpp>
#include <dwgf/run/probe_inputs.hpp>
#include <dwgf/run/report.hpp>
#include <dwgf/run/rerun.hpp>
#include <dwgf/run/restore.hpp>
#include <dwgf/run/settings.hpp>
#include <dwgf/run/together.hpp>
#include <dwgf/store/hdf5_probe.hpp>
#include <dwgf/store/library_versions.hpp>

namespace {

using namespace dwgf;

void tell(const std::string& command, const std::string& message) {
  std::fprintf(stderr, "dwgf%s%s: %s\n", command.empty() ? "" : " ", command.c_str(), message.c_str());
}

/// 3. What goes wrong on one rank ends all of them. The lowest failing rank is the first to speak; the others are ended by then.
[[noreturn]] void fail_alone(const Communicator& world, const std::string& command,
                             const std::string& message, ExitCode code) {
  std::this_thread::sleep_for(std::chrono::milliseconds(150) * std::min(world.rank(), 20));
  tell(command, concat("[rank ", world.rank(), " of ", world.size(), " on ", host_name(), "] ", message));
  end_all_ranks(static_cast<int>(code));
}

bool wanted(const std::vector<std::string>& arguments, const std::string& flag) {
  return std::find(arguments.begin(), arguments.end(), flag) != arguments.end();
}

/// The commands that only read a file are done by one rank; the others wait.
template <class Work>
ExitCode on_first_rank(Communicator& world, Work&& work) {
  ExitCode code = ExitCode::ok;
  together(world, [&] {
    if (world.rank() == 0) code = work();
  });
  return code;
}

ExitCode run(Communicator& world, const std::vector<std::string>& arguments,
             std::optional<ScopedSignals>& signals) {
  const std::string name = arguments.empty() ? "--help" : arguments.front();
  const bool first = world.rank() == 0;
  if (name == "--help" || name == "help") {
    if (first) std::fputs(help_text().c_str(), stdout);
    return arguments.empty() ? ExitCode::usage : ExitCode::ok;
  }
  if (name == "--version") {
    if (first) std::printf("dwgf %s\n", version().c_str());
    return ExitCode::ok;
  }
  const CommandSpec* command = find_command(name);
  if (!command) throw UsageError(unknown_command(name));
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (wanted(rest, "--help")) {
    if (first) std::fputs(help_text(*command).c_str(), stdout);
    return ExitCode::ok;
  }
  if (wanted(rest, "--help-operators") && (command->name == "restore" || command->name == "degrade")) {
    if (first) std::fputs(describe_operators().c_str(), stdout);
    return ExitCode::ok;
  }

  const Settings settings = parse_settings(*command, rest);
  together(world, [&] {
    if (first) probe_inputs(settings);
  });
  if (command->name == "restore") {
    const bool again = !settings.text("rerun").empty();
    return again ? rerun(world, settings, signals.value()) : restore(world, settings, signals.value());
  }
  if (command->name == "degrade") return degrade(world, settings);
  if (command->name == "doctor") return doctor(world, settings);
  if (command->name == "completion") {
    const std::string script = completion_script(settings.positionals.front());
    if (first) std::fputs(script.c_str(), stdout);
    return ExitCode::ok;
  }
  if (command->name == "evaluate") return evaluate_command(world, settings);
  return on_first_rank(world, [&] {
    if (command->name == "report") return report_command(settings);
    if (command->name == "export") return export_command(settings);
    if (command->name == "merge") return merge_command(settings);
    if (command->name == "status") return status_command(settings);
    return verify_command(settings);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == probe_argument) return answer_probe(argv[2]);
  // 1. MPI, on any number of ranks, one included. A job that can be stopped and gone on with heeds signals from
  // the first moment on.
  prepare_launch();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::optional<ScopedSignals> signals;
  if (!arguments.empty() && arguments.front() == "restore") signals.emplace();
  MpiSession session(argc, argv);
  Communicator world = Communicator::world();
  const std::string command = !arguments.empty() && find_command(arguments.front()) ? arguments.front() : "";

  // 2. The command. What goes wrong on all ranks alike ends in order, told once.
  ExitCode code = ExitCode::ok;
  try {
    together(world, [&] { require_launcher_agrees(announced_tasks(), world.size()); });
    try {
      code = run(world, arguments, signals);
    } catch (const AgreedError&) {
      throw;
    } catch (const UsageError& error) {
      throw AgreedError(error.code(), error.what());  // every rank parsed the same words
    } catch (const NotFoundError& error) {
      throw AgreedError(error.code(), error.what());
    }
  } catch (const AgreedError& error) {
    if (world.rank() == 0) tell(command, error.what());
    code = error.code();
    world.barrier();
    if (any_hdf5_file_is_open()) end_all_ranks(static_cast<int>(code));
  } catch (const Error& error) {
    fail_alone(world, command, error.what(), error.code());
  } catch (const std::exception& error) {
    fail_alone(world, command, concat("internal error: ", first_line(error.what())), ExitCode::internal);
  }

  // 4. The first rank's code is the job's. What was printed counts only once it is out.
  if (world.rank() == 0 && (std::fflush(stdout) != 0 || std::ferror(stdout)) && code == ExitCode::ok) {
    tell(command, "standard output could not be written (a full disk, or a closed pipe?)");
    code = ExitCode::io;
  }
  return world.rank() == 0 ? static_cast<int>(code) : 0;
}
