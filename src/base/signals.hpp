/// What signals ask of this process, while an object of this kind is alive:
///
///   SIGUSR1          stop between two steps, and keep what was done
///   SIGUSR2          keep what was done, and go on
///   SIGTERM, SIGINT  the same as SIGUSR1, and `on_terminate` at once, on a thread of its own,
///       because whoever
///                    sends them (mpirun) may not wait for the end of a step; a second one ends the process
///                    as if nobody handled it
///
/// A handler only counts; the thread waits at the other end of a pipe. One object in a process at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace dwgf {

class ScopedSignals {
 public:
  /// Throws InternalError (two at a time; no pipe).
  ScopedSignals();
  /// The handlers that were there before are there again.
  ~ScopedSignals();
  ScopedSignals(const ScopedSignals&) = delete;
  ScopedSignals& operator=(const ScopedSignals&) = delete;

  bool stop_requested() const;
  /// What SIGUSR1 does, asked for by this process itself.
  void request_stop();
  /// Seconds since SIGTERM or SIGINT came first; 0 where none did.
  double seconds_since_termination() const;
  /// How often SIGUSR2 came so far.
  std::int64_t checkpoints_requested() const;

  /// Called once, when the first of SIGUSR1, SIGTERM and SIGINT comes, or at once if one came already: what
  /// is told to people; `terminates`: it was not SIGUSR1. On the thread of `on_terminate`, before its
  /// function. Nothing for an empty function. Returns when a call of the function before it has ended.
  void on_stop_asked(std::function<void(bool terminates)> tell);

  /// What is done when SIGTERM or SIGINT comes, or at once if one came already; nothing for an empty
  /// function. Returns when a call of the function before it has ended. What it throws is dropped.
  void on_terminate(std::function<void()> action);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dwgf
