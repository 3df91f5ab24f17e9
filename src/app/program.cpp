#include "app/program.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "app/manual.hpp"
#include "app/probe_inputs.hpp"
#include "app/tensor_program.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "catalogue/operators.hpp"
#include "comm/throw_on_all.hpp"
#include "input/settings.hpp"
#include "service/launcher.hpp"
#include "store/hdf5_probe.hpp"
#include "store/library_versions.hpp"

namespace dwgf {
namespace {

/// What the arguments ask for: a command, a text to print, or an error.
struct Request {
  std::string name = {};                  ///< of the command, for messages; empty without one
  const Command* command = nullptr;       ///< null: print `text` and return `code`
  std::optional<Settings> settings = {};  ///< of the command
  std::string text = {};
  ExitCode code = ExitCode::ok;
  std::exception_ptr error = {};  ///< what was wrong with the arguments
};

Request printed(const std::string& name, const std::string& text, ExitCode code = ExitCode::ok) {
  return {.name = name, .text = text, .code = code};
}

Request read_arguments(const std::vector<std::string>& arguments) {
  const std::string name = arguments.empty() ? "--help" : arguments.front();
  if (name == "--help" || name == "help")
    return printed("", help_text(), arguments.empty() ? ExitCode::usage : ExitCode::ok);
  if (name == "--manual") return printed("", manual_page());
  if (name == "--version") return printed("", formatted("dwgf {}\n{}\n", version(), describe_build()));
  const CommandSpec* spec = find_command(name);
  if (!spec) return {.error = std::make_exception_ptr(UsageError(unknown_command(name)))};
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  const auto wanted = [&](const char* flag) { return std::ranges::find(rest, flag) != rest.end(); };
  if (wanted("--help")) return printed(name, help_text(*spec));
  if (wanted("--help-operators") && (name == "restore" || name == "degrade"))
    return printed(name, describe_operators());
  Request request{.name = name};
  try {
    request.settings = parse_settings(*spec, rest);
    request.command = &command_named(name);
  } catch (...) {
    request.error = std::current_exception();
  }
  return request;
}

CommandFunction function_of(const Command& command, const ProgramParts& parts) {
  if (command.run) return command.run;
  const auto found = std::ranges::find(parts.tensor_commands, command.name, &TensorCommand::name);
  if (found == parts.tensor_commands.end())
    throw InternalError("no function runs the command '{}'", command.name);
  return found->run;
}

/// Runs on every rank what was asked for. Returns rank 0's code where the others only waited.
ExitCode execute(const Request& request, Collective& world, Communicator* mpi, ScopedSignals* signals,
                 const ProgramParts& parts) {
  throw_on_all<CollectiveError>(world, [&] {
    require_launcher_agrees(announced_tasks(), world.size());
    if (request.error) std::rethrow_exception(request.error);  // of all ranks, or of one started otherwise
  });
  if (!request.command) {
    if (world.rank() == 0) std::fputs(request.text.c_str(), stdout);
    return request.code;
  }
  for (const std::string& note : request.settings->notes) log_job(LogLevel::warning, note);
  const Command& command = *request.command;
  const CommandFunction run = function_of(command, parts);
  const CommandCall call{world, mpi, *request.settings, signals};
  ExitCode code = ExitCode::ok;
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    probe_inputs(*request.settings, parts.front);
    if (!command.on_all_ranks) code = run(call);
  });
  return command.on_all_ranks ? run(call) : code;
}

/// What goes wrong on one rank ends all of them. The lowest failing rank is the first to speak; the others
/// are ended by then.
[[noreturn]] void fail_alone(const Collective& world, const std::string& message, ExitCode code) {
  std::this_thread::sleep_for(std::chrono::milliseconds(150) * std::min(world.rank(), 20));
  log_rank(LogLevel::error, message);
  end_all_ranks(static_cast<int>(code));
}

/// Runs `command` and turns what it throws into an exit code. What goes wrong on all ranks alike ends in
/// order, told once. Returns the first rank's code, which is the job's.
template <class Function>
ExitCode exit_code_of(Collective& world, const std::string& name, Function&& command) {
  set_log_source({name, world.rank(), world.size(), host_name()});
  ExitCode code = ExitCode::ok;
  const auto told_once = [&](const Error& error) {
    log_job(LogLevel::error, error.what());
    code = error.code();
    world.barrier();
    if (any_hdf5_file_is_open()) end_all_ranks(static_cast<int>(code));
  };
  try {
    code = command();
  } catch (const CollectiveError& error) {
    told_once(error);
  } catch (const UsageError& error) {
    told_once(error);  // every rank parsed the same words
  } catch (const NotFoundError& error) {
    told_once(error);
  } catch (const Error& error) {
    fail_alone(world, error.what(), error.code());
  } catch (const std::exception& error) {
    fail_alone(world, formatted("internal error: {}", first_line(error.what())), ExitCode::internal);
  }
  // What was printed counts only once it is out.
  if (world.rank() == 0 && (std::fflush(stdout) != 0 || std::ferror(stdout)) && code == ExitCode::ok) {
    log_job(LogLevel::error, "standard output could not be written (a full disk, or a closed pipe?)");
    code = ExitCode::io;
  }
  return code;
}

}  // namespace

int program(int argc, char** argv, const ProgramParts& parts) {
  if (argc == 3 && std::string(argv[1]) == kProbeArgument) return answer_probe(argv[2]);
  prepare_launch();
  Request request = read_arguments({argv + 1, argv + argc});
  if (request.command && !request.command->run && parts.tensor_commands.empty()) {
    try {
      become_tensor_program(argv);
    } catch (...) {
      request.error = std::current_exception();
    }
  }

  if (announced_tasks() <= 1 && !(request.command && request.command->starts_mpi)) {
    SelfCollective alone;
    const ExitCode code =
        exit_code_of(alone, request.name, [&] { return execute(request, alone, nullptr, nullptr, parts); });
    return static_cast<int>(code);
  }
  // MPI, on any number of ranks, one included. A job that can be stopped and resumed heeds signals from the
  // first moment on.
  std::optional<ScopedSignals> signals;
  if (request.command && request.command->stoppable) signals.emplace();
  MpiSession session(argc, argv);
  Communicator world = Communicator::world();
  const ExitCode code = exit_code_of(world, request.name, [&] {
    return execute(request, world, &world, signals ? &*signals : nullptr, parts);
  });
  return world.rank() == 0 ? static_cast<int>(code) : 0;
}

}  // namespace dwgf
