/// A double of the C APIs of the CUDA runtime and of NCCL, linked in their place: device memory is host
/// memory that is known as such, a stream is a queue that is worked off later, and the collectives are plain
/// MPI. It checks what the real ones only punish: order of calls, use after abort, groups left open, leaked
/// objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <mpi.h>

namespace nccl_double {

/// When a stream does what it was given: at once, as far as its events allow, or not before someone has to
/// know. What is right is right under both; a missing dependency shows under one of them.
enum class Pace { eager, lazy };

struct Faults {
  bool refuse_to_connect = false;  ///< ncclCommInitRankConfig fails
  bool never_connect = false;      ///< the communicator stays "in progress"
  int polls_in_progress = 2;       ///< how often every call is first said to be in progress
  bool remote_error = false;       ///< from the next look on, another rank is gone
  bool fail_to_start = false;      ///< collectives fail when they are called
  bool others_never_come = false;  ///< collectives are queued, and the device waits in them
};

/// Forgets everything and begins anew: `devices` GPUs with these identities, communicators over `comm`,
/// streams made from now on at this pace.
void reset(MPI_Comm comm, const std::vector<std::string>& devices, Pace collective_pace);
Faults& faults();

/// The compute stream, at a lazy pace: a kernel is a function.
void* compute_stream();
void launch(void* stream, std::function<void()> kernel);
void synchronise(void* stream, bool may_hang = false);

/// The names of all calls since `reset`, in order.
const std::vector<std::string>& calls();
int count(const std::string& call);
/// What was used wrongly, in words: empty if nothing.
std::vector<std::string> violations();
/// Objects that were made and not given back: streams, events, device memory, communicators.
int leaks();
int current_device();

void* allocate(std::size_t bytes);
void release(void* pointer);

}  // namespace nccl_double
