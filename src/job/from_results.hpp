/// Jobs that a results file says: `dwgf restore --rerun FILE` does its images over again, from what the file
/// carries, and compares; `dwgf restore FILE` goes on with it.
#pragma once

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/signals.hpp"
#include "input/settings.hpp"

namespace dwgf {

/// Collective over `world`. Measurements, operator, noise level and every option come from FILE; only options
/// that decide nothing of a result (ranks, devices, where to write) may be given beside, and the prior's
/// weights are needed. Prints a line an image: whether its checksum, which is over posterior, particles,
/// measurement and diagnostics, is that of FILE. Returns ok where all are, some_images_failed where one is
/// not, else what `restore` returns. Throws UsageError, DataError.
ExitCode rerun(Communicator& world, const Settings& settings, ScopedSignals& signals);

/// Collective over `world`. The job that made the results file which is `given`'s positional, to go on with
/// it there; options that decide nothing of a result may be given beside. The file is read by one rank.
/// Throws UsageError, DataError, NotFoundError.
Settings resumed_job(Communicator& world, const Settings& given);

}  // namespace dwgf
