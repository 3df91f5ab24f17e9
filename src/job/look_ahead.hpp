/// What `restore`, its `--dry-run` and `doctor` say of a job before it works: found in one place, so that the
/// three agree.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "job/diagnosis.hpp"
#include "job/restore_job.hpp"

namespace dwgf {

/// Who is about to do the job.
struct Launch {
  int groups = 1, group_size = 1;  ///< of ranks; the largest group
  std::span<const RankFacts> ranks;
  bool weights_loaded = true;  ///< when the facts were gathered, by every rank
};

/// Warnings and problems, none that is fine. A problem is what `restore` refuses (the code says how), or, of
/// code some_images_failed, images that it would record as failed. From names, headers and shapes; of the
/// pictures themselves the first few are looked at, and one image is measured where the operator carries
/// arrays.
std::vector<Finding> look_ahead(const RestoreJob& job, const Launch& launch);

/// What is done as asked, and often not meant: one sentence each.
std::vector<std::string> notes_on(const RestoreJob& job);

/// Prints warnings, and throws the first problem that stops the whole job; what stops single images is a
/// warning here.
void tell_findings(std::span<const Finding> findings);

}  // namespace dwgf
