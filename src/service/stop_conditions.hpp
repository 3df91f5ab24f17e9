/// What stops a job besides a signal: a limit to its time, and a file that somebody leaves beside its
/// results.
///
///     stops when  now + 2 step + reserve >= begin + limit,   reserve = 2 % of the limit, 1 s to 120 s
///
/// so that the step under way ends, and its checkpoint is written, before whoever set the limit ends the job.
/// `step` is what the last step took, or the one under way so far, whichever is longer. A step that is much
/// longer than the one before may be cut short; what the last checkpoint has is kept.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace dwgf {

/// What is left of this job's time in Slurm, as SLURM_JOB_END_TIME says. Throws UsageError where it says
/// nothing.
double slurm_seconds_left();

/// `RESULTS.stop`: the file that stops the job which writes RESULTS.
std::string stop_file_of(const std::string& results);

class StopConditions {
 public:
  struct Limits {
    std::optional<double> seconds = {};  ///< from now on
    std::string file = {};               ///< empty: none is looked for
  };
  /// @param step_seconds  asked from another thread: `step` above
  /// @param stop          called once, from another thread, with the reason. A file that was the reason is
  ///                      removed first, so that the next job is not stopped by it too.
  StopConditions(Limits limits, std::function<double()> step_seconds,
                 std::function<void(const std::string& reason)> stop);
  ~StopConditions();
  StopConditions(const StopConditions&) = delete;
  StopConditions& operator=(const StopConditions&) = delete;

 private:
  void watch();
  std::string reason() const;

  const Limits limits_;
  const std::function<double()> step_seconds_;
  const std::function<void(const std::string&)> stop_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace dwgf
