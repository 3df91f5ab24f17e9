/// What happens between the steps of one image: it begins where a checkpoint stands, signals are heeded, and
/// checkpoints are written. The ranks of the group vote at every step boundary without waiting; a vote counts
/// at the next boundary, where all of them act on it alike.
///
/// The last two steps are also kept in memory and are written at once when the process is asked to end; on a
/// device the last one may still be on its way then, and is waited for, but not for long. The vote keeps the
/// ranks of a group within one step of each other, so one of the two is the same on all of them.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include <dwgf/flow/observer.hpp>

#include "base/signals.hpp"
#include "comm/watchdog.hpp"
#include "flow/snapshot.hpp"
#include "service/progress.hpp"
#include "service/stop_flag.hpp"
#include "store/checkpoint.hpp"

namespace dwgf {

/// What all images of a run share.
struct CheckpointContext {
  ScopedSignals& signals;
  StopFlag& stop_flag;
  Progress& progress;
  Watchdog& watchdog;
  double checkpoint_seconds = 0.0;  ///< 0: only when asked
};

class CheckpointObserver final : public FlowObserver {
 public:
  /// @param name  the image's, for messages; @param checkpoints  of this image
  /// @pre the group and what the context refers to outlive it; one at a time.
  CheckpointObserver(CheckpointContext context, Collective& group, std::string name, Checkpoints checkpoints);
  ~CheckpointObserver() override;

  void begin(FlowState& state, Monitor& monitor) override;
  bool at_step_boundary(const FlowState& state, const Monitor& monitor) override;

  /// Writes what the last whole step left, if there was one: the flow was ended inside a step.
  void keep();

  /// The image is committed or given up: nothing of it is written any more, and its checkpoints are removed.
  /// By every rank of the group.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  enum Vote { stop, checkpoint, votes };

  void start_vote();
  void write_newest();
  void write_on_termination();
  void write(const Snapshot& snapshot);

  CheckpointContext context_;
  Collective& group_;
  std::string name_;

  std::mutex mutex_;  // what follows up to told_failure_, also used by the thread that answers SIGTERM
  Checkpoints checkpoints_;
  SnapshotCopy newest_, before_;
  bool terminating_ = false;
  bool told_failure_ = false;

  Clock::time_point written_ = Clock::now();
  std::int64_t requests_seen_ = 0;
  std::int64_t vote_[votes] = {0, 0};
  std::unique_ptr<PendingCollective> pending_;
};

}  // namespace dwgf
