#include "comm/watchdog.hpp"

#include <algorithm>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {

Watchdog::Watchdog(RankIdentity identity, Seconds limit) : identity_(std::move(identity)), limit_(limit) {}

void Watchdog::enter(std::string phase, bool waits) {
  const std::lock_guard lock(mutex_);
  if (waits_) waited_ += Clock::now() - since_;
  phase_ = std::move(phase);
  waits_ = waits;
  resting_ = false;
  since_ = Clock::now();
}

void Watchdog::at(const std::string& image, std::int64_t step) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (waits_) waited_ += now - since_;
  if (image_ == image && step_ >= 0 && step == step_ + 1) last_step_ = now - step_began_;
  if (image_ != image) image_ = image;
  step_ = step;
  since_ = step_began_ = now;
}

void Watchdog::rest() {
  const std::lock_guard lock(mutex_);
  phase_ = "done";
  resting_ = true;
}

Watchdog::Seconds Watchdog::waited() const {
  const std::lock_guard lock(mutex_);
  return waited_;
}

std::string Watchdog::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

Watchdog::Doing Watchdog::doing(Clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  const Seconds taken = now - (step_ >= 0 ? step_began_ : since_);
  return {phase_, image_, step_, taken.count(), last_step_.count(), resting_};
}

void Watchdog::ask(Collective& group) {
  const std::lock_guard lock(asked_mutex_);
  asked_.push_back(&group);
}

void Watchdog::forget(Collective& group) {
  const std::lock_guard lock(asked_mutex_);
  asked_.erase(std::find(asked_.begin(), asked_.end(), &group));
}

std::optional<std::string> Watchdog::device_waits_in() const {
  const std::lock_guard lock(asked_mutex_);
  for (Collective* group : asked_) {
    try {
      if (auto operation = group->under_way()) return operation;
    } catch (const Error&) {  // a device that has failed is told of by whoever waits for it
    }
  }
  return std::nullopt;
}

std::optional<std::string> Watchdog::complaint(Clock::time_point now) const {
  const std::optional<std::string> device = device_waits_in();
  const std::lock_guard lock(mutex_);
  if (resting_ || limit_ <= Seconds(0)) return std::nullopt;
  const bool waits = waits_ || device;
  const Seconds patience = waits ? std::min(limit_ / 10, Seconds(10)) : Seconds(0);
  const Seconds taken = now - since_;
  if (taken <= limit_ + patience) return std::nullopt;
  std::string text = formatted("[rank {} of {} on {}] no progress for {} in: {}", identity_.rank,
                               identity_.size, identity_.host, human_duration(taken.count()), phase_);
  if (device) text += formatted(" (the device in: {})", *device);
  if (!image_.empty()) text += formatted("; image '{}'", image_);
  if (step_ >= 0) text += formatted(", step {}", step_);
  text += waits ? ". It waits for other ranks: one of them hangs, or the network between them does"
                : ". The device, the file system or this host hangs, or the limit is too short";
  return formatted(
      "{} (run.watchdog_minutes = {}). All ranks are ended; the same command goes on with what is missing",
      text, limit_.count() / 60);
}

WatchdogThread::WatchdogThread(const Watchdog& watchdog, std::function<void(const std::string&)> on_complaint,
                               Watchdog::Seconds pause)
    : thread_([this, &watchdog, on_complaint = std::move(on_complaint), pause] {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, pause, [this] { return ending_; })) {
          const auto complaint = watchdog.complaint(Watchdog::Clock::now());
          if (!complaint) continue;
          lock.unlock();  // the callback may take its time, and the destructor must not wait for the lock
          on_complaint(*complaint);
          return;
        }
      }) {}

WatchdogThread::~WatchdogThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

namespace {

/// While it lives, the watchdog knows that this rank waits; then the phase is what it was before.
class Waiting {
 public:
  Waiting(Watchdog& watchdog, const std::string& what) : watchdog_(watchdog), before_(watchdog.phase()) {
    watchdog_.enter(what, true);
  }
  ~Waiting() { watchdog_.enter(before_); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Watchdog& watchdog_;
  std::string before_;
};

class WatchedPending final : public PendingCollective {
 public:
  WatchedPending(std::unique_ptr<PendingCollective> pending, Watchdog& watchdog, std::string what)
      : pending_(std::move(pending)), watchdog_(watchdog), what_(std::move(what)) {}
  ~WatchedPending() override {
    if (!pending_) return;
    const Waiting waiting(watchdog_, what_);  // an operation under way is seen to its end
    pending_.reset();
  }
  void wait() override {
    const Waiting waiting(watchdog_, what_);
    pending_->wait();
  }
  bool advance() override { return pending_->advance(); }

 private:
  std::unique_ptr<PendingCollective> pending_;
  Watchdog& watchdog_;
  std::string what_;
};

}  // namespace

std::unique_ptr<PendingCollective> WatchedCollective::start_all_gather(std::span<const std::byte> bytes,
                                                                       std::span<std::byte> out) {
  return std::make_unique<WatchedPending>(group_.start_all_gather(bytes, out), watchdog_,
                                          formatted("all-gather of {} bytes", bytes.size()));
}

std::unique_ptr<PendingCollective> WatchedCollective::start_all_reduce_sum(std::span<std::int64_t> values) {
  return std::make_unique<WatchedPending>(group_.start_all_reduce_sum(values), watchdog_,
                                          formatted("sum of {} numbers", values.size()));
}

std::unique_ptr<PendingCollective> WatchedCollective::start_all_reduce_max(std::span<std::int64_t> values) {
  return std::make_unique<WatchedPending>(group_.start_all_reduce_max(values), watchdog_,
                                          formatted("maximum of {} numbers", values.size()));
}

void WatchedCollective::all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) {
  const Waiting waiting(watchdog_, formatted("all-to-all of {} bytes", bytes.size()));
  group_.all_to_all(bytes, out);
}

void WatchedCollective::broadcast(std::span<std::byte> bytes, int root) {
  const Waiting waiting(watchdog_, formatted("broadcast of {} bytes from rank {}", bytes.size(), root));
  group_.broadcast(bytes, root);
}

void WatchedCollective::barrier() {
  const Waiting waiting(watchdog_, "barrier");
  group_.barrier();
}

}  // namespace dwgf
