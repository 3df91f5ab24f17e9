/// What an open results file consists of. Private to `store`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/comm/mpi.hpp>

#include "base/posix_file.hpp"
#include "store/detail/row_file.hpp"
#include "store/results.hpp"

namespace dwgf {

inline constexpr int kResultsFormat = 1;

/// Bytes that a file of this layout takes, about; of all its shards together.
std::uint64_t file_bytes(const ResultsLayout& layout);

/// More descriptors than a few times this number are never asked for, however many shards there are.
inline constexpr std::size_t kMostOpenShards = 16;

struct ResultsFile::Impl {
  /// Whether the list of images has their names, by far the most of its bytes.
  enum class Names { read, left_out };
  /// A file with rows: the results file itself, or a shard. A shard is open while it is used: written, by
  /// each rank for itself, so that nobody opens what others write.
  struct Part {
    ResultsShard shard;
    PosixFile sync_file;
    RowFile file;            ///< empty: not open
    std::uint64_t used = 0;  ///< the larger, the later
  };
  /// Where a row of a dataset lies.
  struct Place {
    FlatDataset& dataset;
    hsize_t row;  ///< in its file
  };

  Impl() = default;
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Opens PATH by HDF5's serial driver, checks all of it and reads its layout; shards that cannot be used
  /// are marked. Throws NotFoundError, DataError.
  static std::unique_ptr<Impl> open_serially(const std::string& path, Names names);

  static std::unique_ptr<Impl> checked_for_writing(const std::string& path);
  /// Collective: what the first rank knows of the file's structure, all ranks know then.
  void share_structure(Communicator& ranks);

  Part& part_of(std::int64_t row);
  /// Opens it where it is not; of shards, closes the one that nobody has used for longest where
  /// `kMostOpenShards` are open.
  RowFile& opened(Part& part);
  Place place(const std::string& name, std::int64_t row);
  const DatasetLayout& described(const std::string& name) const;
  void require_row(std::int64_t row) const;
  void require_writable() const;

  /// A record of all rows; those in shards that cannot be used stay as they are in `all`.
  void read_column(const char* name, std::span<std::byte> all, std::size_t value_bytes);
  template <class Value>
  Value field(const char* name, std::int64_t row);
  template <class Value>
  void set_field(const char* name, std::int64_t row, Value value);
  void finish(std::int64_t row, std::uint32_t crc32, float seconds, const std::string& reason,
              ImageState state);

  std::string path;
  ResultsLayout layout;
  Durability durability = Durability::power_safe;
  std::optional<Communicator> group;  ///< of its own; only where written
  bool in_shards = false;             ///< the rows lie in other files than PATH
  Hdf5Handle master;                  ///< PATH, open to read, in such a case; not where written
  std::vector<Part> parts;            ///< in order of their rows
  std::uint64_t uses = 0;
};

}  // namespace dwgf
