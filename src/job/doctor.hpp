/// `dwgf doctor`: what would go wrong on this machine or allocation, before it does.
#pragma once

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Collective over `world`. Takes the options of `restore`; what it can check without a job it checks
/// without: ranks found against announced, threads and binding, devices, MPI-IO (written and read back beside
/// store.out, or in the working directory), free space against need, write access and one view of the files
/// from all hosts, weights and images, clocks, libraries compiled against loaded. Prints every finding with
/// what to do about it. Returns the code of the first problem; warnings are none.
ExitCode doctor(Communicator& world, const Settings& settings);

}  // namespace dwgf
