/// Collectives on device memory through the host's: copied there, exchanged by MPI, and copied back. For
/// ranks that share a GPU, for slices of one, and where nothing connects devices directly; and for a group of
/// one rank, which exchanges nothing. Results are those of any other collective, to the bit.
///
///   start_*   queues the copy to the host behind what the compute stream has been given, and returns
///   wait()    waits for that copy and for the other ranks, and queues the copy back; what is computed from
///             then on sees the result
///   advance() moves on without waiting; true once the other ranks' part is there
///
/// MPI is told of the operations in the order they were started in, on a communicator of their own, so that
/// it does not matter when each rank gets to it. Buffers are device memory; anything else is refused
/// (InternalError). `broadcast` and `barrier` wait on the host.
#pragma once

#include <memory>

#include <dwgf/comm/mpi.hpp>

#include "comm/device.hpp"

namespace dwgf {

class HostStagedCollective final : public Collective {
 public:
  /// Collective over `group`. `device`: an index among this rank's visible ones; other ranks may have it too.
  HostStagedCollective(const Communicator& group, const DeviceBackend& backend, int device,
                       ComputeStream compute_stream);
  ~HostStagedCollective() override;

  int rank() const override;
  int size() const override;
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override;
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override;
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override;
  /// Throws InternalError: what is exchanged so lies in host memory.
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dwgf
