/// The libraries that files are read and written with: their versions, and their state at the
/// end; what the whole program was built with.
#pragma once

#include <string>
#include <vector>

#include <dwgf/base/versions.hpp>

namespace dwgf {

std::vector<LibraryVersions> file_libraries();

/// What results depend on beside the job and the machine, items separated by "; ": git's revision, the
/// compiler and its flags, MPI, HDF5 and LibTorch.
std::string describe_build();

/// Whether HDF5 still has a file open, at the end of all: one that could not be closed, because the disk
/// failed. HDF5 1.10 then crashes in MPI_Finalize.
bool any_hdf5_file_is_open();

}  // namespace dwgf
