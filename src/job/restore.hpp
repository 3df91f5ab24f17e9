/// `dwgf restore`: the main job. Images over groups of ranks, one image's particles over the ranks of a
/// group, one results file.
#pragma once

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/signals.hpp"
#include "input/settings.hpp"

namespace dwgf {

/// Collective over `world`. Goes on with what is missing when the results file is there already; refuses
/// (UsageError) one that a different job made. An image that cannot be read or diverges is recorded as failed
/// with its reason and the others go on. Returns ok, some_images_failed, bad_data when every image failed for
/// bad input, or stopped when a signal asked for it: what was under way is in a checkpoint then.
ExitCode restore(Communicator& world, const Settings& settings, ScopedSignals& signals);

}  // namespace dwgf
