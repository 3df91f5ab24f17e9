/// Jobs that are killed in mid-run and started again.
#pragma once

#include <random>

#include "results_bits.hpp"
#include "workplace.hpp"

namespace dwgf::test {

enum class Victim { one_rank, all_ranks, mpirun, everything };
constexpr const char* kVictims[] = {"one rank", "all ranks", "mpirun", "mpirun and all ranks"};

/// Waits until `images` are committed, or the job has ended; whether it still runs.
bool wait_for_images(Process& process, const std::filesystem::path& results, std::int64_t images);

/// SIGKILL.
void kill_victim(Process& process, Victim victim, std::mt19937& random);

}  // namespace dwgf::test
