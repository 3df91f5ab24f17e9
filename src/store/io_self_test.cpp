#include "store/io_self_test.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

#include <mpi.h>

#include <dwgf/base/error.hpp>

#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"

namespace dwgf {
namespace {

// Not a multiple of any block size, so that neighbours share blocks, stripes and locks.
constexpr std::size_t kPieceBytes = 10007;
constexpr int kPieces = 5;      // a rank, every size() pieces one
constexpr int kMostRanks = 64;  // of thousands, all at one file fight for its locks

void check(int code, const std::string& what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw IoError("{}: MPI-IO says: {}", what, text);
}

std::byte expected(std::size_t offset) {
  std::uint64_t x = offset * 0x9E3779B97F4A7C15ULL;
  x ^= x >> 29;
  return static_cast<std::byte>(x);
}

class TestFile {
 public:
  TestFile(const std::string& path, MPI_Comm comm) : path_(path) {
    check(MPI_File_open(comm, path.c_str(), MPI_MODE_RDWR | MPI_MODE_CREATE, MPI_INFO_NULL, &file_),
          formatted("creating {}", path));
  }
  ~TestFile() {
    if (file_ != MPI_FILE_NULL) MPI_File_close(&file_);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  void write(std::size_t number) {
    std::vector<std::byte> bytes(kPieceBytes);
    for (std::size_t k = 0; k < kPieceBytes; ++k) bytes[k] = expected(number * kPieceBytes + k);
    check(MPI_File_write_at(file_, static_cast<MPI_Offset>(number * kPieceBytes), bytes.data(),
                            static_cast<int>(kPieceBytes), MPI_BYTE, MPI_STATUS_IGNORE),
          formatted("writing {} (is the disk full, or a quota? {} bytes a rank are needed)", path_,
                    kPieces * kPieceBytes));
  }
  void compare(std::size_t number) {
    std::vector<std::byte> bytes(kPieceBytes);
    check(MPI_File_read_at(file_, static_cast<MPI_Offset>(number * kPieceBytes), bytes.data(),
                           static_cast<int>(kPieceBytes), MPI_BYTE, MPI_STATUS_IGNORE),
          formatted("reading {}", path_));
    for (std::size_t k = 0; k < kPieceBytes; ++k) {
      const std::size_t offset = number * kPieceBytes + k;
      if (bytes[k] == expected(offset)) continue;
      throw IoError(
          "MPI-IO does not give back what was written: byte {} of {} is wrong, though no call failed. Choose "
          "another implementation of MPI-IO (Open MPI 4: OMPI_MCA_io=romio321 or ompio) or another file "
          "system "
          "(store.out)",
          offset, path_);
    }
  }
  void sync() { check(MPI_File_sync(file_), formatted("synchronising {}", path_)); }

 private:
  std::string path_;
  MPI_File file_ = MPI_FILE_NULL;
};

/// Collective over `comm`.
void test_among(const std::string& path, Communicator& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size()), rank = static_cast<std::size_t>(comm.rank());
  std::optional<TestFile> file;
  throw_on_all(comm, [&] { file.emplace(path, comm.handle().value); });
  try {
    throw_on_all(comm, [&] {
      for (std::size_t k = 0; k < kPieces; ++k) file->write(k * ranks + rank);
    });
    throw_on_all(comm, [&] { file->sync(); });  // collective, so only when all have come here
    comm.barrier();
    throw_on_all(comm, [&] {
      for (std::size_t k = 0; k < kPieces; ++k) file->compare(k * ranks + (rank + 1) % ranks);
    });
  } catch (const Error&) {
    file.reset();
    if (comm.rank() == 0) std::remove(path.c_str());
    throw;
  }
  file.reset();
  if (comm.rank() == 0) std::remove(path.c_str());
}

}  // namespace

std::uint64_t io_test_bytes(int ranks) {
  return std::uint64_t{kPieces} * kPieceBytes * static_cast<std::uint64_t>(std::min(ranks, kMostRanks));
}

void test_mpi_io(const std::string& path, Communicator& world) {
  const int stride = (world.size() + kMostRanks - 1) / kMostRanks;
  Communicator comm = world.split(world.rank() % stride == 0 ? 0 : 1, world.rank());
  throw_on_all(world, [&] {
    if (world.rank() % stride == 0) test_among(path, comm);
  });
}

}  // namespace dwgf
