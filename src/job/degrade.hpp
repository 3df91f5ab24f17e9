/// `dwgf degrade`: clean images, an operator and noise -> a measurements file that carries the operator with
/// it.
#pragma once

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "input/settings.hpp"

namespace dwgf {

/// Collective over `world`: images are dealt out to the ranks. The same y comes out as `restore` measures on
/// the fly. Masks that the operator draws are stored, as `mask:@`. An image that cannot be read has NaN for
/// its measurement, is told, and makes the result some_images_failed (bad_data if there is no other). The
/// file is complete or not there.
ExitCode degrade(Communicator& world, const Settings& settings);

}  // namespace dwgf
