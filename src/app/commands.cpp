#include "app/commands.hpp"

#include <algorithm>
#include <cstdio>

#include "app/completion.hpp"
#include "app/inspect.hpp"
#include "app/merge.hpp"
#include "app/selftest.hpp"

namespace dwgf {
namespace {

ExitCode completion(const CommandCall& call) {
  std::fputs(completion_script(call.settings.positionals.front()).c_str(), stdout);
  return ExitCode::ok;
}
ExitCode merge(const CommandCall& call) {
  return merge_command(call.settings);
}
ExitCode selftest(const CommandCall& call) {
  if (call.mpi) throw UsageError("selftest starts mpirun itself: run it without mpirun or srun");
  return selftest_command();
}
ExitCode status(const CommandCall& call) {
  return status_command(call.settings);
}
ExitCode verify(const CommandCall& call) {
  return verify_command(call.settings);
}

constexpr Command kRows[] = {
    {.name = "restore", .starts_mpi = true, .on_all_ranks = true, .stoppable = true},
    {.name = "degrade", .starts_mpi = true, .on_all_ranks = true},
    {.name = "doctor", .starts_mpi = true, .on_all_ranks = true},
    {.name = "calibrate-prior", .starts_mpi = true, .on_all_ranks = true, .stoppable = true},
    {.name = "priors"},
    {.name = "evaluate", .on_all_ranks = true},
    {.name = "report"},
    {.name = "export"},
    {.name = "status", .run = status},
    {.name = "verify", .run = verify},
    {.name = "merge", .starts_mpi = true, .run = merge},
    {.name = "completion", .run = completion},
    {.name = "selftest", .run = selftest},
};

}  // namespace

std::span<const Command> commands() {
  return kRows;
}

const Command& command_named(const std::string& name) {
  const auto found = std::ranges::find(kRows, name, &Command::name);
  if (found == std::end(kRows)) throw InternalError("the command '{}' has no row", name);
  return *found;
}

}  // namespace dwgf
