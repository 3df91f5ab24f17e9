#include "base/signals.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace {

constexpr std::array kHandled = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};

// A handler has nothing but what is static.
struct Counts {
  std::atomic<bool> alive{false};
  std::atomic<std::int64_t> stops{0}, checkpoints{0}, terminations{0};
  std::atomic<std::int64_t> terminated_at{0};  // [ns] of the monotonic clock
  std::atomic<int> pipe{-1};
};
Counts counts;
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "counted in a signal handler");

std::int64_t nanoseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void ask_for_stop() {
  ++counts.stops;
  const char byte = 'u';
  static_cast<void>(!write(counts.pipe, &byte, 1));
}

void handle(int number) {
  const int error = errno;
  if (number == SIGUSR1) ask_for_stop();
  if (number == SIGUSR2) ++counts.checkpoints;
  if (number == SIGTERM || number == SIGINT) {
    if (counts.terminations++ > 0) {
      std::signal(number, SIG_DFL);
      raise(number);  // delivered when this handler has returned
    }
    if (counts.terminated_at == 0) counts.terminated_at = nanoseconds_now();
    const char byte = 't';
    static_cast<void>(!write(counts.pipe, &byte, 1));
  }
  errno = error;
}

}  // namespace

struct ScopedSignals::Impl {
  std::array<int, 2> pipe{-1, -1};
  std::array<struct sigaction, kHandled.size()> before{};
  std::mutex mutex;  // held while the action runs
  std::function<void()> action;
  bool called = false;
  std::function<void(bool)> tell;
  bool told = false;
  std::thread waiting;

  void speak() {
    if (told || !tell) return;
    told = true;
    try {
      tell(counts.terminations > 0);
    } catch (const std::exception&) {  // what cannot be told changes nothing
    }
  }
  void act() {
    if (called || !action) return;
    called = true;
    try {
      action();
    } catch (const std::exception&) {  // it has told what it had to
    }
  }
  void wait() {
    char byte = 0;
    for (;;) {
      const ssize_t got = read(pipe[0], &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got != 1 || byte == 'e') return;
      const std::lock_guard lock(mutex);
      speak();
      if (byte == 't') act();
    }
  }
};

ScopedSignals::ScopedSignals() : impl_(std::make_unique<Impl>()) {
  if (counts.alive.exchange(true)) throw InternalError("signals are handled already");
  if (pipe2(impl_->pipe.data(), O_CLOEXEC) != 0) {
    counts.alive = false;
    throw InternalError("no pipe for the signals: too many open files");
  }
  counts.stops = counts.checkpoints = counts.terminations = 0;
  counts.terminated_at = 0;
  counts.pipe = impl_->pipe[1];
  impl_->waiting = std::thread([impl = impl_.get()] { impl->wait(); });
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (std::size_t k = 0; k < kHandled.size(); ++k) sigaction(kHandled[k], &action, &impl_->before[k]);
}

ScopedSignals::~ScopedSignals() {
  for (std::size_t k = 0; k < kHandled.size(); ++k) sigaction(kHandled[k], &impl_->before[k], nullptr);
  const char byte = 'e';
  while (write(impl_->pipe[1], &byte, 1) < 0 && errno == EINTR) {
  }
  impl_->waiting.join();
  for (const int descriptor : impl_->pipe) close(descriptor);
  counts.pipe = -1;
  counts.alive = false;
}

bool ScopedSignals::stop_requested() const {
  return counts.stops > 0 || counts.terminations > 0;
}

void ScopedSignals::request_stop() {
  ask_for_stop();
}

double ScopedSignals::seconds_since_termination() const {
  const std::int64_t at = counts.terminated_at;
  return at == 0 ? 0.0 : 1e-9 * static_cast<double>(nanoseconds_now() - at);
}

std::int64_t ScopedSignals::checkpoints_requested() const {
  return counts.checkpoints;
}

void ScopedSignals::on_stop_asked(std::function<void(bool)> tell) {
  const std::lock_guard lock(impl_->mutex);
  impl_->tell = std::move(tell);
  if (stop_requested()) impl_->speak();
}

void ScopedSignals::on_terminate(std::function<void()> action) {
  const std::lock_guard lock(impl_->mutex);
  impl_->action = std::move(action);
  impl_->called = false;
  if (counts.terminations > 0) impl_->act();
}

}  // namespace dwgf
