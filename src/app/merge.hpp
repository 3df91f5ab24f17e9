/// `dwgf merge`: the results of slices of one data set, as array tasks leave them, in one file.
#pragma once

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Writes the file that --to names and prints what it holds, rows that no file has (gaps) and damaged images.
/// The files may come in any order and overlap. The merged file goes on as a job of its own: `restore` with
/// its slice completes what is missing. Returns ok when every image is committed, some_images_failed when
/// some failed or are missing, bad_data when some were damaged. Throws UsageError (the files are of different
/// jobs), DataError (they disagree about an image), NotFoundError, IoError.
ExitCode merge_command(const Settings& settings);

}  // namespace dwgf
