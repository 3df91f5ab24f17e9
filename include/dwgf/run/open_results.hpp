/// The results file of a restore job as it is at the start: made, or gone on with; held by this job alone;
/// checked.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <dwgf/run/restore_job.hpp>
#include <dwgf/store/job_lock.hpp>
#include <dwgf/store/results.hpp>

namespace dwgf {

struct OpenResults {
  std::optional<JobLock> lock;  ///< on rank 0
  ResultsFile file;
  std::vector<std::int64_t> rows;     ///< to do, in order: not committed, or committed and damaged
  std::vector<std::int64_t> damaged;  ///< those of them that did not agree with their checksums
};

/// Collective over `world`. Takes the lock, opens or creates the file, tests MPI-IO beside it, compares the committed
/// images with their checksums if `store.verify` says so (every rank a share of them), and removes what an
/// earlier run left of images that need it no more. Throws on all ranks alike: UsageError (another job's
/// results, or another job is writing them), DataError, IoError.
OpenResults open_results(Communicator& world, const RestoreJob& job);

}  // namespace dwgf
