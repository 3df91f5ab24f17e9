/// The HDF5 files that a command is about to read, tried in a process of their own first.
#pragma once

#include <string>

#include "input/settings.hpp"

namespace dwgf {

/// By one rank, before any rank reads them, each in a process of `program`. Throws DataError, naming the
/// option and the file.
void probe_inputs(const Settings& settings, const std::string& program);

}  // namespace dwgf
