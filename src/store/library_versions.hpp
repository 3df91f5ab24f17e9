/// The libraries that files are read and written with: their versions, and their state at the end.
#pragma once

#include <vector>

#include <dwgf/base/versions.hpp>

namespace dwgf {

std::vector<LibraryVersions> file_libraries();

/// Whether HDF5 still has a file open, at the end of all: one that could not be closed, because the disk
/// failed. HDF5 1.10 then crashes in MPI_Finalize.
bool any_hdf5_file_is_open();

}  // namespace dwgf
