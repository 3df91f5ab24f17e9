/// A group of ranks that fails, delays or hangs on command: what the code above `comm` does then can be
/// tested without a broken network.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/collective.hpp>

namespace dwgf {

class FaultyCollective final : public Collective {
 public:
  enum class Fault { none, fail_to_start, fail_to_complete, delay, hang };

  explicit FaultyCollective(Collective& sound) : sound_(sound) {}

  /// The n-th operation from now on (0: the next) has this fault; those before and after it are sound.
  void command(Fault fault, int n = 0, std::chrono::milliseconds delay = std::chrono::milliseconds(50)) {
    const std::lock_guard lock(mutex_);
    fault_ = fault;
    countdown_ = n;
    delay_ = delay;
  }
  /// Ends a hang; the operation then completes.
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    wake_.notify_all();
  }
  int operations() const { return operations_; }

  int rank() const override { return sound_.rank(); }
  int size() const override { return sound_.size(); }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    const Fault fault = next();
    return std::make_unique<Pending>(*this, fault, sound_.start_all_gather(bytes, out));
  }
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override {
    const Fault fault = next();
    return std::make_unique<Pending>(*this, fault, sound_.start_all_reduce_sum(values));
  }
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override {
    const Fault fault = next();
    return std::make_unique<Pending>(*this, fault, sound_.start_all_reduce_max(values));
  }
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override {
    suffer(next());
    sound_.all_to_all(bytes, out);
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    suffer(next());
    sound_.broadcast(bytes, root);
  }
  void barrier() override {
    suffer(next());
    sound_.barrier();
  }

 private:
  struct Pending final : PendingCollective {
    Pending(FaultyCollective& owner, Fault fault, std::unique_ptr<PendingCollective> sound)
        : owner(owner), fault(fault), sound(std::move(sound)) {}
    void wait() override {
      owner.suffer(std::exchange(fault, Fault::none));
      sound->wait();
    }
    bool advance() override { return fault == Fault::none && sound->advance(); }
    FaultyCollective& owner;
    Fault fault;
    std::unique_ptr<PendingCollective> sound;
  };

  Fault next() {
    const std::lock_guard lock(mutex_);
    ++operations_;
    if (fault_ == Fault::none || countdown_-- > 0) return Fault::none;
    const Fault fault = std::exchange(fault_, Fault::none);
    if (fault == Fault::fail_to_start) throw RankError("the operation could not be started, as commanded");
    return fault;
  }
  void suffer(Fault fault) {
    if (fault == Fault::fail_to_complete) throw RankError("the operation did not complete, as commanded");
    if (fault == Fault::delay) std::this_thread::sleep_for(delay_);
    if (fault != Fault::hang) return;
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return released_; });
  }

  Collective& sound_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Fault fault_ = Fault::none;
  int countdown_ = 0, operations_ = 0;
  std::chrono::milliseconds delay_{50};
  bool released_ = false;
};

}  // namespace dwgf
