/// Opening HDF5 files to read, by any program that wrote them. Private to `store`.
#pragma once

#include <optional>
#include <string>

#include "hdf5_handle.hpp"

namespace dwgf {

/// Opens an HDF5 file to read with the serial driver, without MPI, without taking or minding file locks, and
/// without caching what a writer may still change. Throws NotFoundError, DataError (not HDF5, truncated),
/// IoError.
/// @param cache_chunks  keeps chunks in memory between reads, for files that nobody writes
Hdf5Handle open_hdf5(const std::string& path, bool cache_chunks = true);

/// The text of the root's attribute `name`, of fixed or variable length; empty if it is not a single text.
std::optional<std::string> read_text_attribute(hid_t file, const std::string& name, const std::string& path);

}  // namespace dwgf
