/// `dwgf status` and `dwgf verify`: what a results file holds, also while it is being written.
#pragma once

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Done, failed, left, rate and time left, to standard output.
ExitCode status_command(const Settings& settings);

/// Checks every committed image against its checksum and lists damaged, failed and missing ones. Returns ok
/// when all images are committed and right, some_images_failed when some failed or are missing, bad_data when
/// any is damaged.
ExitCode verify_command(const Settings& settings);

}  // namespace dwgf
