/// One queue of numbered items for all groups: who is free takes the next, so that a slow node or a hard item
/// delays nobody.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

class WorkQueue {
 public:
  /// Collective over `world`: items 0 ... items - 1, which rank 0 counts. A thread of rank 0 answers the
  /// others, whatever its main thread is doing. (A fetch-and-add on an MPI window would be simpler, but Open
  /// MPI 4 has none over TCP where several threads call MPI.)
  WorkQueue(const Communicator& world, std::int64_t items);
  /// Collective over `world`. The same where MPI lets no second thread call it (a simulator's): `server`, a
  /// rank that takes nothing, answers by `serve`.
  WorkQueue(const Communicator& world, std::int64_t items, int server);
  /// Collective, unless an error is under way.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// The lowest item that nobody has taken yet, for the caller alone; nothing when none is left. Independent
  /// of all ranks but 0. Throws RankError.
  std::optional<std::int64_t> take();
  /// On the rank that serves: answers until every one of the `askers` ranks that take has been told that
  /// nothing is left.
  void serve(int askers);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Collective over `group`: its first rank takes an item from `queue` for all of them.
std::optional<std::int64_t> take_collectively(WorkQueue& queue, Collective& group);

}  // namespace dwgf
