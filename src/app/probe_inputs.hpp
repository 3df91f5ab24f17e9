/// The HDF5 files that a command is about to read, tried in a process of their own first.
#pragma once

#include "input/settings.hpp"

namespace dwgf {

/// By one rank, before any rank reads them. Throws DataError, naming the option and the file.
void probe_inputs(const Settings& settings);

}  // namespace dwgf
