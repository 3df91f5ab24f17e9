/// MPI as values: the session from start to end, and communicators that free themselves. MPI's own types stay
/// in the sources of `comm` and `store`; MPI_COMM handles travel as `MpiHandle`.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <dwgf/base/versions.hpp>
#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// A communicator's handle behind an opaque type, so that headers need no <mpi.h>. `store` opens files on it.
struct MpiHandle;

/// A group of ranks on host memory. Move-only; freed on destruction if it was made by `split`.
class Communicator final : public Collective {
 public:
  /// Every rank of the job. @pre an MpiSession is alive.
  static Communicator world();
  /// This rank alone.
  static Communicator self();

  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator() override;

  /// Collective over this communicator: ranks with the same colour form a group, ordered by key, then by rank
  /// here.
  Communicator split(int colour, int key) const;

  int rank() const override;
  int size() const override;
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override;
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override;
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override;
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;

  /// A small message to `destination` that needs no answer (progress); returns at once.
  void post(int destination, std::span<const std::int64_t> message);
  /// Takes one posted message of at most `room` numbers if one has arrived: its numbers, else nothing.
  std::vector<std::int64_t> poll(std::size_t room);

  const MpiHandle& handle() const;

 private:
  struct Impl;
  explicit Communicator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// MPI from MPI_Init to MPI_Finalize. Errors are set to return right after initialisation (the default kills
/// the job without a word). One in a process, alive longer than every Communicator.
class MpiSession {
 public:
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
};

/// Ends every rank of the job that can be reached, at once, with this exit code, and this one within seconds
/// in any case. From any thread; also before MPI runs. Does not return.
[[noreturn]] void end_all_ranks(int code);

/// The name of this host.
std::string host_name();

/// The MPI that this program was compiled with and the one that runs it.
LibraryVersions mpi_library();

/// Throws UsageError if a launcher announces several tasks (`announced` from its environment) while MPI sees
/// one rank: the program was built for another MPI and would run as silent singletons. `announced` <= 1 is
/// never an error.
void require_launcher_agrees(int announced, int world_size);

}  // namespace dwgf
