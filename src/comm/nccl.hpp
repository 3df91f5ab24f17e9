/// Collectives on device memory by NCCL, for groups whose ranks have a GPU each. The order of calls is that
/// of `Collective`; what differs is that nothing waits on the host:
///
///   start_*   is queued on a stream of its own, behind what the compute stream has been given so far
///   wait()    puts the compute stream behind the operation; the host goes on at once
///   advance() true once the device has finished it
///
/// Buffers are device memory; anything else is refused before NCCL sees it (host data goes by MPI).
/// `broadcast` and `barrier` wait on the host. NCCL works without blocking, so a rank that is gone shows as
/// an error that is polled, never as a call that does not return; a failure aborts the communicator.
#pragma once

#include <memory>

#include <dwgf/comm/mpi.hpp>

#include "comm/device.hpp"

namespace dwgf {

class NcclCollective final : public Collective {
 public:
  /// Collective over `group`, whose ranks each have a device of their own (`device_of_rank`). NCCL's id goes
  /// to all ranks by MPI. Throws RankError on all ranks alike: NCCL failed, or did not connect within
  /// `patience_seconds`.
  NcclCollective(Communicator& group, int device, ComputeStream compute_stream,
                 double patience_seconds = 300);
  /// Collective, unless an error is under way: then the communicator is aborted.
  ~NcclCollective() override;

  int rank() const override;
  int size() const override;
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override;
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override;
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override;
  /// Throws InternalError: what is exchanged so lies in host memory and goes by MPI.
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;
  /// Also asks NCCL for an error of another rank, which gives the communicator up as abort() does.
  std::optional<std::string> under_way() override;

  /// Gives up everything under way on this rank; from any thread, a watchdog's too. Operations after it throw
  /// RankError.
  void abort();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dwgf
