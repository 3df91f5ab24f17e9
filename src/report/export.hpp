/// `dwgf export`: results as pictures that any program opens.
#pragma once

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Writes NAME.mean, NAME.std and, where they exist and --what asks for them, NAME.truth, NAME.measurement,
/// NAME.baseline, NAME.quantile_05 ... and NAME.particle_0 ... (NPY: NAME.particles, all in one) of every
/// committed image into a folder, and contact_sheet.png with one row an image: truth | measurement | baseline
/// | mean | standard deviation. NAME is the image's row and name, with the letters of any script, at most 180
/// bytes of it.
///
/// PNG: [-1, 1] to the full range, sRGB, the standard deviation from 0 to 0.5; of 16 bit the numbers
/// themselves where the input's range is 0 ... more than 255. TIFF and NPY: float32 in the input's units,
/// value_scale x + value_offset, else on [-1, 1]; a TIFF of 2^22 pixels or more is a pyramid
/// (data/pyramid_tiff.hpp).
///
/// Nothing that is there already is replaced unless --overwrite is given; that is looked at before anything
/// is written, and every file is whole or not there.
ExitCode export_command(const Settings& settings);

}  // namespace dwgf
