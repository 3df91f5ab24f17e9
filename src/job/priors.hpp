/// `dwgf priors [DIRECTORY]...`: what of a model directory was recognised, and without one which models there
/// are to fetch.
#pragma once

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Prints to standard output. By default only configurations and headers are read; with --measure each prior
/// is loaded too, and one call of each network is timed on images of the size it was trained on. Returns
/// `bad_data` where a directory is of no family or its files cannot be read, after all were looked at.
ExitCode priors_command(const Settings& settings);

}  // namespace dwgf
