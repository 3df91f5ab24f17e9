/// That all ranks were started with the same options.
#pragma once

#include <dwgf/comm/mpi.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Collective over `world`. Throws CollectiveError (usage) on all ranks where a rank's effective options are
/// not those of rank 0, naming the rank and a key.
void require_same_job(Communicator& world, const Settings& settings);

}  // namespace dwgf
