/// Opening HDF5 files to read, by any program that wrote them. Private to `store`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "hdf5/hdf5_handle.hpp"

namespace dwgf {

/// Opens an HDF5 file to read with the serial driver, without MPI, without taking or minding file locks, and
/// without caching what a writer may still change. Throws NotFoundError, DataError (not HDF5, truncated),
/// IoError.
/// @param cache_chunks  keeps chunks in memory between reads, for files that nobody writes
Hdf5Handle open_hdf5(const std::string& path, bool cache_chunks = true);

/// Files that are opened or made with this list neither take nor mind HDF5's locks: parallel file systems may
/// have none, and who may write is settled by a lock of this program's own.
void leave_locks(hid_t access_list, const std::string& what);

/// The text of the root's attribute `name`, of fixed or variable length; empty if it is not a single text.
std::optional<std::string> read_text_attribute(hid_t file, const std::string& name, const std::string& path);
/// The numbers of an attribute of `object`; empty if it does not hold 1 to `most` plain numbers
/// (hdf5_types.hpp).
std::vector<double> read_number_attribute(hid_t object, const std::string& name, const std::string& path,
                                          std::size_t most = 1);

/// Whether there is something of this path; false too where a group on the way is missing.
bool has_link(hid_t file, const std::string& path);

}  // namespace dwgf
