/// RESULTS.verified: which images were compared with their checksums, or written, by jobs that ended in
/// order, so that the next one compares only those that were committed since. A small text beside the
/// results; without it, or where it does not fit them, everything is compared.
///
///     a row needs no comparison  <=>  the note names it, and every file is still the one that the note saw
///         (device and inode), and nobody but a job has written since: its time of change is the noted one,
///         or the note says that a job was writing, which then was killed
#pragma once

#include <string>
#include <vector>

#include "store/results.hpp"

namespace dwgf {

/// One value a row: whether it needs no comparison. By one rank, before anything is written.
std::vector<bool> noted_verified_rows(const ResultsFile& results);

/// A job begins to write, or has ended in order and closed the files.
enum class NoteTime { before_writing, at_end };

/// Replaces the note. By one rank, while it holds the job's lock. A note that cannot be written costs
/// comparisons later, and nothing else: then it is removed.
void note_verified_rows(const std::string& results, const std::vector<ResultsShard>& files,
                        const std::vector<bool>& verified, NoteTime time);

}  // namespace dwgf
