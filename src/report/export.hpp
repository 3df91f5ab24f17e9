/// `dwgf export`: results as pictures that any program opens.
#pragma once

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Writes NAME.mean, NAME.std and, where they exist, NAME.truth, NAME.measurement and NAME.baseline of every
/// committed image into a folder (PNG: [-1, 1] to the full range, the standard deviation from 0 to 0.5; NPY:
/// the numbers), and contact_sheet.png with one row an image: truth | measurement | baseline | mean |
/// standard deviation. Nothing that is there already is replaced unless --overwrite is given.
ExitCode export_command(const Settings& settings);

}  // namespace dwgf
