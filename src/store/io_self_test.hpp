/// Whether MPI-IO does on this file system what results files rely on: writes by all ranks, without any
/// agreement among them, of neighbouring pieces of one file, read back by others after a barrier. Some
/// combinations of MPI and file system lose or misplace bytes without an error.
#pragma once

#include <cstdint>
#include <string>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

/// What `test_mpi_io` takes on the disk for a while [bytes].
std::uint64_t io_test_bytes(int ranks);

/// Collective: writes `path`, 50 KB a rank, reads it back and removes it; of more than 64 ranks, at most so
/// many do, evenly apart. Throws IoError on every rank alike, naming the file and the first wrong byte.
void test_mpi_io(const std::string& path, Communicator& world);

}  // namespace dwgf
