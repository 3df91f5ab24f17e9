#include "tensor_commands.hpp"

#include <exception>

#include <dwgf/base/error.hpp>
#include <dwgf/base/format.hpp>

#include "base/log.hpp"
#include "job/calibrate.hpp"
#include "job/degrade.hpp"
#include "job/doctor.hpp"
#include "job/from_results.hpp"
#include "job/priors.hpp"
#include "job/restore.hpp"
#include "report/evaluate.hpp"
#include "report/export.hpp"
#include "report/report.hpp"
#include "report/verdicts.hpp"

namespace dwgf {
namespace {

/// What the results of a job that has ended say of themselves, by the first rank. The job is done: nothing
/// here makes it fail.
void tell_verdicts(const std::string& results) {
  try {
    const std::vector<Verdict> verdicts = quick_verdicts(results);
    if (!verdicts.empty())
      log_job(LogLevel::warning, formatted("what the results say of themselves:\n{}", lines_of(verdicts)));
  } catch (const std::exception& error) {
    log_job(LogLevel::info, formatted("the results were not judged ({}); evaluate does it", error.what()));
  }
}

ExitCode run_restore(const CommandCall& call) {
  const bool resumes = !call.settings.positionals.empty();
  const Settings job = resumes ? resumed_job(*call.mpi, call.settings) : call.settings;
  const JobInput& input = job.as<JobInput>();
  if (!input.rerun.empty()) return rerun(*call.mpi, job, *call.signals);
  const ExitCode code = restore(*call.mpi, job, *call.signals);
  const bool ended = code == ExitCode::ok || code == ExitCode::some_images_failed;
  if (ended && !input.dry_run && call.mpi->rank() == 0) tell_verdicts(input.store.out);
  return code;
}
ExitCode run_degrade(const CommandCall& call) {
  return degrade(*call.mpi, call.settings);
}
ExitCode run_calibrate(const CommandCall& call) {
  return calibrate(*call.mpi, call.settings, *call.signals);
}
ExitCode run_doctor(const CommandCall& call) {
  return doctor(*call.mpi, call.settings);
}
ExitCode run_priors(const CommandCall& call) {
  return priors_command(call.settings);
}
ExitCode run_evaluate(const CommandCall& call) {
  return evaluate_command(call.world, call.settings);
}
ExitCode run_report(const CommandCall& call) {
  return report_command(call.settings);
}
ExitCode run_export(const CommandCall& call) {
  return export_command(call.settings);
}

constexpr TensorCommand kRows[] = {
    {"restore", run_restore}, {"degrade", run_degrade}, {"calibrate-prior", run_calibrate},
    {"doctor", run_doctor},   {"priors", run_priors},   {"evaluate", run_evaluate},
    {"report", run_report},   {"export", run_export}};

}  // namespace

std::span<const TensorCommand> tensor_commands() {
  return kRows;
}

}  // namespace dwgf
