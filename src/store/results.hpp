/// The results file: parallel HDF5, written by all ranks, whose structure never changes after creation.
/// Everything is created up front with early allocation and flushed; after that only raw data is written,
/// each image's commit record last. A kill at any moment therefore loses only the images in flight. Layout:
/// README.md of this folder, "The results file".
///
/// Of many images the rows may lie in several files, `shards`: PATH.shards/K.h5, each a results file of
/// consecutive rows, while PATH has what never changes (the list of images, the operator's arrays, the
/// attributes) and virtual datasets over the rest, so that any HDF5 program reads it like a single file.
/// Parallel HDF5 cannot write through virtual datasets: this class works on the shards themselves. Images in
/// a shard that is missing, damaged or foreign are not done; PATH still names them.
///
/// Written through the MPI-IO driver always, also on one rank (the serial driver's chunk cache loses
/// acknowledged data on a kill). Reading alone needs no MPI and does not disturb a writer.
///
/// Errors: IoError (HDF5 or the system failed, with their words), InternalError (a row, dataset or range that
/// is not there).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <dwgf/comm/mpi.hpp>

#include "store/row_layout.hpp"

namespace dwgf {

enum class ImageState : std::uint8_t { not_done = 0, committed = 1, failed = 2 };

/// All that fixes the structure of a results file.
struct ResultsLayout : RowLayout {
  /// When the file is created: datasets of at least so many bytes begin at multiples of it (a stripe of a
  /// parallel file system), so that what ranks write apart lies apart; 0: as it comes. Not stored.
  std::uint64_t alignment = 0;
  /// When the file is created: how many files the rows lie in, at most one an image. Not stored.
  std::int64_t shards = 1;
  /// When the file is created: datasets are stored in pieces of at most so many bytes (of at least one
  /// value), whole rows where one fits; 0: in one piece. All pieces are allocated then, none is compressed.
  /// Not stored.
  std::uint64_t chunk_bytes = 0;
};

/// One of the files that the images' rows lie in.
struct ResultsShard {
  std::string path;
  std::int64_t first = 0;  ///< its first row in the whole
  std::int64_t rows = 0;
  std::string problem;  ///< why it cannot be used, as the rest of a sentence; empty: it is sound
  bool missing = false;
};

/// Whether a commit waits until the image's data is on the disk. Without it a kill still loses nothing that
/// was committed, but a power failure may leave committed images whose data never reached the disk (`verify`
/// finds them).
enum class Durability { kill_safe, power_safe };

class ResultsFile {
 public:
  /// Collective. Creates, fills /image/* and flushes; complete or not there (written aside as PATH.creating
  /// and renamed, after its shards). `layout` is the same on all ranks. What a kill left of an earlier
  /// creation is replaced; a finished file never is, and shards that this very job has filled are taken up.
  /// Throws the same error on every rank: IoError (exists already, directory missing or not writable, no
  /// space), InternalError (a layout that makes no sense).
  static ResultsFile create(const std::string& path, const ResultsLayout& layout, const Communicator& comm,
                            Durability durability = Durability::power_safe);
  /// Collective. One rank reads the structure and tells the others. Shards are opened when a row in them is
  /// first asked for, by the rank that asks, and a few are open at a time. A shard that is missing is made
  /// again, without images. Throws NotFoundError, DataError (not
  /// a results file of this format; truncated; a shard that is damaged or foreign), on every rank the same.
  static ResultsFile open_for_writing(const std::string& path, const Communicator& comm,
                                      Durability durability = Durability::power_safe);
  /// Not collective; also while other processes write, whose commits it sees. Throws NotFoundError,
  /// DataError, IoError.
  static ResultsFile open_for_reading(const std::string& path);

  ResultsFile(ResultsFile&&) noexcept;
  ResultsFile& operator=(ResultsFile&&) noexcept;
  ~ResultsFile();

  const std::string& path() const;
  /// As stored in the file. Opened for writing, without the names of images, which are most of its bytes: who
  /// writes has them from the job.
  const ResultsLayout& layout() const;
  /// In order of their rows; of a single file that file.
  std::vector<ResultsShard> shards() const;

  /// Not done where the image's shard cannot be used; anything else that is asked of it throws DataError.
  std::vector<ImageState> states() const;
  ImageState state(std::int64_t row) const;
  std::string reason(std::int64_t row) const;
  std::uint32_t stored_crc32(std::int64_t row) const;
  float seconds(std::int64_t row) const;
  /// Of all rows; 0 where the image's shard cannot be used.
  std::vector<float> seconds() const;

  /// Independent: writes `bytes` (of the dataset's type) of image `row`, beginning `offset` values into the
  /// row.
  /// @pre opened for writing
  void write(const std::string& dataset, std::int64_t row, std::int64_t offset,
             std::span<const std::byte> bytes);
  std::vector<std::byte> read(const std::string& dataset, std::int64_t row) const;
  std::vector<float> read_floats(const std::string& dataset, std::int64_t row) const;

  /// The array of `layout().constants` of this name, with its values.
  FloatArray read_constant(const std::string& name) const;

  /// Independent, by one rank, after all data of the image was written by all its ranks (a barrier between):
  /// the checksum and the seconds, then `sync()` if power-safe, then the state.
  void commit(std::int64_t row, std::uint32_t crc32, float seconds);
  /// The same with a reason, cut to 128 bytes, instead of data.
  void fail(std::int64_t row, const std::string& reason, float seconds);

  /// Independent, by one rank: the image counts as not done. For one that is to be restored again, so that a
  /// kill meanwhile does not leave the old record to the new data.
  void withdraw(std::int64_t row);

  /// Waits until what this host has written is on the disk. On a file system that several hosts write to,
  /// each rank calls it before the barrier that precedes `commit`.
  void sync() const;
  /// The same of the file that the image lies in.
  void sync(std::int64_t row) const;

  /// zlib's CRC-32 over the image's rows of /posterior, /particles, /measurement and /diagnostics, in that
  /// order, the datasets of a group by name, as read from the file.
  std::uint32_t compute_crc32(std::int64_t row) const;

  /// Collective. After this, nothing may be called. What it throws (IoError), a rank throws alone.
  void close();

 private:
  struct Impl;
  explicit ResultsFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Throws IoError where no results file can be made: the directory is not there, or is not writable.
void require_place_for_results(const std::string& path);

/// The datasets that the checksum covers, in its order.
std::vector<DatasetLayout> checksummed_datasets(const RowLayout& layout);

/// CRC-32 of A followed by B from those of A and B, so that ranks check their own parts.
std::uint32_t crc32_of(std::span<const std::byte> bytes);
std::uint32_t crc32_combine(std::uint32_t first, std::uint32_t second, std::size_t second_bytes);

}  // namespace dwgf
