#include "tensor_commands.hpp"

#include "job/calibrate.hpp"
#include "job/degrade.hpp"
#include "job/doctor.hpp"
#include "job/rerun.hpp"
#include "job/restore.hpp"
#include "report/evaluate.hpp"
#include "report/export.hpp"
#include "report/report.hpp"

namespace dwgf {
namespace {

ExitCode run_restore(const CommandCall& call) {
  const bool again = !call.settings.as<JobInput>().rerun.empty();
  return again ? rerun(*call.mpi, call.settings, *call.signals)
               : restore(*call.mpi, call.settings, *call.signals);
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
    {"restore", run_restore}, {"degrade", run_degrade},   {"calibrate-prior", run_calibrate},
    {"doctor", run_doctor},   {"evaluate", run_evaluate}, {"report", run_report},
    {"export", run_export}};

}  // namespace

std::span<const TensorCommand> tensor_commands() {
  return kRows;
}

}  // namespace dwgf
