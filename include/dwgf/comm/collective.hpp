/// Collective operations of one group of ranks on spans of (pointer, count, type). One interface, several
/// backends: `SelfCollective` (one rank, no MPI call), `MpiCollective` (host memory). No LibTorch type
/// appears here.
///
/// Order: every rank of the group calls the same operations in the same order. A started operation is
/// completed by `wait()` on its handle (or the handle's destructor); its buffers stay valid and untouched
/// until then. Errors: RankError naming the operation, its size, the group and what MPI said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace dwgf {

/// A collective under way.
class PendingCollective {
 public:
  virtual ~PendingCollective() = default;
  virtual void wait() = 0;
  /// Lets the operation move on without waiting (MPI works only while it is called): for now and then in a
  /// long computation. True if it is known to be complete.
  virtual bool advance() { return false; }
};

class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Every rank gives `bytes.size()` bytes (the same on all ranks); `out` gets them in rank order. `bytes`
  /// lies outside of `out` on all ranks, or is each rank's own part of it on all ranks.
  /// @pre out.size() == size() * bytes.size()
  virtual std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                              std::span<std::byte> out) = 0;

  /// Element-wise sum over the ranks, in place. Integers, so that it is exact in any order.
  virtual std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) = 0;

  /// Element-wise maximum over the ranks, in place.
  virtual std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) = 0;

  /// Block r of `bytes` goes to rank r, and `out` gets the blocks for this rank in rank order. All blocks are
  /// of one size, the same on all ranks.
  /// @pre bytes.size() == out.size(), a multiple of size(); they do not overlap
  virtual void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) = 0;

  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void barrier() = 0;

  /// The operation in which this rank's device waits for other ranks, where its host does not wait: from any
  /// thread, so that a watchdog can tell. Nothing where hosts wait, or nothing is under way.
  virtual std::optional<std::string> under_way() { return std::nullopt; }

  /// Returns rank `root`'s text on every rank.
  std::string broadcast_text(std::string text, int root);

  void all_gather(std::span<const std::byte> bytes, std::span<std::byte> out) {
    start_all_gather(bytes, out)->wait();
  }
  void all_reduce_sum(std::span<std::int64_t> values) { start_all_reduce_sum(values)->wait(); }
  void all_reduce_max(std::span<std::int64_t> values) { start_all_reduce_max(values)->wait(); }
};

/// The group of one on host memory: everything is a copy or nothing.
class SelfCollective final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override;
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override;
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override;
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override;
  void broadcast(std::span<std::byte>, int) override {}
  void barrier() override {}
};

}  // namespace dwgf
