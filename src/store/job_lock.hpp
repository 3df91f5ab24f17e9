/// One job at a time on a results file: a lock on the file RESULTS.running, held by the job's first rank. The
/// system lets go of it when that process ends in whatever way, so nothing has to be cleaned up after a kill.
/// What the holder writes into the file tells others who it is and how far.
///
/// The lock is fcntl's of an open file description (Linux): it holds across the hosts of a shared file system
/// that has locks (NFS, Lustre with `flock`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace dwgf {

class JobLock {
 public:
  /// Throws UsageError (another process holds it), IoError (no such directory, not
  /// writable). Where the file system has no locks, nothing is held: see `held`.
  static JobLock acquire(const std::string& results_path);

  JobLock(JobLock&& other) noexcept;
  JobLock& operator=(JobLock&& other) noexcept;
  /// Lets go, and removes the file.
  ~JobLock();

  bool held() const { return held_; }
  /// Replaces what the file says. Errors are ignored: it is for information.
  void say(const std::string& text);

 private:
  JobLock() = default;
  std::string path_;
  int descriptor_ = -1;
  bool held_ = false;
};

/// What there is to see of a job on a results file from outside.
struct JobSeen {
  std::optional<bool> running;   ///< whether the lock is held; nothing where that cannot be told
  std::string said;              ///< by the holder, or by the last one if it was killed
  double seconds_silent = -1.0;  ///< since it said that; negative if unknown
};
JobSeen look_for_job(const std::string& results_path);

}  // namespace dwgf
