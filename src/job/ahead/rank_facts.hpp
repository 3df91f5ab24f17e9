/// What every rank knows of itself and its host, for findings that need all of them.
#pragma once

#include <vector>

#include <dwgf/comm/mpi.hpp>

#include "job/diagnosis.hpp"

namespace dwgf {

/// Collective over `world`: the facts of all ranks, in their order, on all of them.
std::vector<RankFacts> facts_of_all(Communicator& world);

}  // namespace dwgf
