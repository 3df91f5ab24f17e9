/// The results file of a restore job as it is at the start: made, or gone on with; held by this job alone;
/// checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "job/restore_job.hpp"
#include "store/job_lock.hpp"
#include "store/results.hpp"

namespace dwgf {

struct OpenResults {
  std::optional<JobLock> lock;  ///< on rank 0
  ResultsFile file;
  /// To do: not committed, or committed and damaged. Neighbours lie in different shards, so that ranks that
  /// work at the same time write to different files.
  std::vector<std::int64_t> rows;
  std::vector<bool> verified;         ///< committed, and known to be as they were written; one value a row
  std::vector<std::int64_t> damaged;  ///< those of `rows` that did not agree with their checksums
  std::vector<ResultsShard> missing;  ///< shards that were not there and were made again; on rank 0
  std::string other_device;           ///< what to tell where others made the file's results; on rank 0
};

/// Collective over `world`. Takes the lock, opens or creates the file, tests MPI-IO beside it, compares the
/// committed images with their checksums if `store.verify` says so (every rank a share of those that were
/// committed since a job last ended in order), and removes what an earlier run left of images that need it no
/// more. Throws on all ranks alike: UsageError (another
/// job's results, or another job is writing them), DataError, IoError.
/// Where the job chose by itself to compute on another kind of device than the file's results were made on,
/// it is refused (UsageError): bits would differ within one file.
/// @param groups  of ranks, as `store.shards = auto` counts them
OpenResults open_results(Communicator& world, const RestoreJob& job, int groups);

/// Collective over `world`: closes the file of a job that ends in order, and notes that what it has committed
/// need not be compared again.
void close_results(Communicator& world, OpenResults& open);

}  // namespace dwgf
