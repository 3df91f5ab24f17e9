/// `dwgf calibrate-prior`: a prior and images -> the file of its moments (prior/moments.hpp).
#pragma once

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/signals.hpp"
#include "input/settings.hpp"

namespace dwgf {

/// Collective over `world`: blocks of images go to whoever is free, and the file's bits do not depend on the
/// ranks. Sums are kept every minute beside the file and when a signal asks to stop (exit code `stopped`);
/// the same command goes on from there. The file is complete or not there. Throws UsageError, NotFoundError,
/// DataError (also where a network's result is not finite), IoError.
ExitCode calibrate(Communicator& world, const Settings& settings, ScopedSignals& signals);

}  // namespace dwgf
