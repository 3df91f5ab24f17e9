/// The windows of one image's network calls, shared by the ranks of its group (prior/windows.hpp). The group
/// falls into crews of equal size: the first rank of each, its leader, holds particles and runs the flow; the
/// others, its helpers, compute windows for it. Without windows, or with ranks for particles only, every rank
/// is a leader without helpers.
///
/// A call is told to the crew with its latents (or image). The windows are computed in rounds
/// (job/window_rounds.hpp), in window order; while a round is computed the parts of the one before are
/// gathered, and the leader blends them in window order: the bits are those of one rank, and two rounds are
/// all that is held of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <dwgf/comm/mpi.hpp>

#include "comm/watchdog.hpp"
#include "job/compute_device.hpp"
#include "job/restore_job.hpp"
#include "prior/windows.hpp"

namespace dwgf {

/// How many ranks of a group lead, and how many each has in its crew, itself included; their product is the
/// group's size.
struct CrewLayout {
  int leaders = 1;
  int crew = 1;
};

/// Of all divisions of the group, the one whose busiest rank computes the fewest windows of micro-batches;
/// among equals that with most leaders, which exchange least. @pre all are at least 1
CrewLayout crew_layout(int group_size, std::int64_t micro_batches, std::int64_t windows);

/// How many ranks of `ranks` share an image best: those whose busiest rank computes the fewest windows of
/// micro-batches over all images; among equals the fewest. @pre all are at least 1
int best_ranks_per_image(int ranks, std::int64_t images, std::int64_t micro_batches, std::int64_t windows);

/// How windows cover an image, and which ranks of a group compute them.
struct WindowPlan {
  WindowSize size;
  std::int64_t count = 1;
  CrewLayout crews = {};
};

/// Nothing where the prior works without windows, or one is enough.
std::optional<WindowPlan> window_plan(const Prior& prior, const Canvas& canvas, const FlowOptions& flow,
                                      int group_size);
/// Of the job's largest image; nothing too where no size is known.
std::optional<WindowPlan> window_plan(const RestoreJob& job, int group_size);

class SharedWindows final : public WindowCrew {
 public:
  /// `host` and `tensors` are the crew's; its rank 0 is the leader. Both outlive this.
  explicit SharedWindows(RankGroup crew) : crew_(crew) {}

  /// By the leader.
  at::Tensor result(const CallWindows& windows) const override;
  /// By the leader: its helpers return from serve().
  void release() const;
  /// By a helper: computes its share of every call of the leader until it is released. `between` is called
  /// after each. @pre `prior` works in windows of the same size as the leader's
  void serve(const Prior& prior, const std::function<void()>& between) const;

 private:
  using Take = std::function<void(const at::Tensor& part, std::int64_t k)>;
  /// Every part on every rank, in window order.
  void compute(const CallWindows& windows, const Take& take) const;

  RankGroup crew_;
};

/// The crews of a group, for each layout that was asked for.
class GroupCrews {
 public:
  /// What a rank has of its crew.
  struct Crew {
    /// Collective over both.
    Crew(Communicator leading, Communicator sharing, const ComputeDevice& device, Watchdog& watchdog);

    Communicator leaders;  ///< all leaders of the group; of a helper: all helpers
    Communicator ranks;    ///< of this crew
    TensorGroup leader_tensors, tensors;
    WatchedCollective watched_leaders, watched_ranks;

    bool leads() const { return ranks.rank() == 0; }
  };

  GroupCrews(Communicator& group, const ComputeDevice& device, Watchdog& watchdog)
      : group_(group), device_(device), watchdog_(watchdog) {}

  /// Collective over the group. @pre layout.leaders * layout.crew is the group's size
  Crew& of(const CrewLayout& layout);

 private:
  Communicator& group_;
  ComputeDevice device_;
  Watchdog& watchdog_;
  std::map<int, std::unique_ptr<Crew>> crews_;  // by the number of leaders
};

}  // namespace dwgf
