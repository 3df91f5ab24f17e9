/// Nothing hangs: a watchdog that knows what this rank is doing, and speaks when that takes too long. It
/// needs no MPI and no clock of its own, so that it can be tested without either; `WatchdogThread` runs it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// Who watches: the same for a whole run.
struct RankIdentity {
  int rank = 0;
  int size = 1;
  std::string host;
};

class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  /// @param limit  of one phase without a sign of life; 0: no limit
  Watchdog(RankIdentity identity, Seconds limit);

  /// This rank begins `phase` ("computing", "all-gather of 4096 bytes"); the time counts anew. `waits`: it
  /// waits for other ranks there. Such a rank is given a little longer, so that the one that holds all up is
  /// the first to speak.
  void enter(std::string phase, bool waits = false);
  /// The image and the step that the phases belong to from now on; a sign of life too.
  void at(const std::string& image, std::int64_t step);
  /// No limit until the next `enter`: this rank has nothing left to do.
  void rest();

  /// From now on `group` is asked as well whether this rank's device waits for other ranks, in whatever phase
  /// its host is; until `forget`, which returns when it is not being asked any more.
  void ask(Collective& group);
  void forget(Collective& group);

  /// What to say if the limit is exceeded at `now`: rank, host, phase, image, step, time, what to do.
  std::optional<std::string> complaint(Clock::time_point now) const;
  /// The time this rank has spent in phases that wait for other ranks, those that have ended.
  Seconds waited() const;
  /// What this rank is doing, for a log.
  std::string phase() const;

  /// The same for people, from any thread.
  struct Doing {
    std::string phase, image;
    std::int64_t step = -1;  ///< done of the image; -1: none yet, or no image
    double seconds = 0.0;    ///< in this step, or in this phase where there is no step
    double last_step = 0.0;  ///< what the last whole step took [s]; 0: none yet
    bool resting = false;
  };
  Doing doing(Clock::time_point now) const;

 private:
  std::optional<std::string> device_waits_in() const;

  const RankIdentity identity_;
  const Seconds limit_;
  mutable std::mutex mutex_;
  std::string phase_ = "starting";
  std::string image_;
  std::int64_t step_ = -1;
  bool waits_ = false;
  Seconds waited_{0};
  bool resting_ = false;
  mutable std::mutex asked_mutex_;
  std::vector<Collective*> asked_;
  Clock::time_point since_ = Clock::now();
  Clock::time_point step_began_ = since_;
  Seconds last_step_{0};
};

/// Looks at a watchdog now and then, and calls `on_complaint` once with what it has to say; from its own
/// thread. Ends with its object.
class WatchdogThread {
 public:
  WatchdogThread(const Watchdog& watchdog, std::function<void(const std::string&)> on_complaint,
                 Watchdog::Seconds pause = std::chrono::milliseconds(200));
  ~WatchdogThread();
  WatchdogThread(const WatchdogThread&) = delete;
  WatchdogThread& operator=(const WatchdogThread&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

/// A group whose waiting the watchdog sees: every wait of the host for the others is a phase of its own, and
/// of the device's waits it is told when it asks.
class WatchedCollective final : public Collective {
 public:
  WatchedCollective(Collective& group, Watchdog& watchdog) : group_(group), watchdog_(watchdog) {
    watchdog_.ask(group_);
  }
  ~WatchedCollective() override { watchdog_.forget(group_); }
  WatchedCollective(const WatchedCollective&) = delete;
  WatchedCollective& operator=(const WatchedCollective&) = delete;

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override;
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override;
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override;
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;
  std::optional<std::string> under_way() override { return group_.under_way(); }

 private:
  Collective& group_;
  Watchdog& watchdog_;
};

}  // namespace dwgf
