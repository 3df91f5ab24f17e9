/// `dwgf report`: one self-contained HTML page of one or several results files.
#pragma once

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Writes the page to `to` (by default beside the first results file, as .html) and prints its name. Works
/// offline and without scripts. Results of any number of images: what is shown of them is chosen, what is
/// measured may be a sample, and the page says so. Throws NotFoundError, DataError, UsageError, IoError.
ExitCode report_command(const Settings& settings);

}  // namespace dwgf
