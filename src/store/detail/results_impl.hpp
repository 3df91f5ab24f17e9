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

struct ResultsFile::Impl {
  /// A file with rows: the results file itself, or a shard.
  struct Part {
    ResultsShard shard;
    PosixFile sync_file;
    RowFile file;
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
  static std::unique_ptr<Impl> open_serially(const std::string& path);

  Part& part_of(std::int64_t row);
  Place place(const std::string& name, std::int64_t row);
  const DatasetLayout& described(const std::string& name) const;
  void require_row(std::int64_t row) const;
  void require_writable() const;

  /// A record of all rows; those in shards that cannot be used stay as they are in `all`.
  void read_column(const char* name, std::span<std::byte> all, std::size_t value_bytes) const;
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
  Hdf5Handle master;                  ///< PATH, open to read, where the rows lie in shards
  std::vector<Part> parts;            ///< in order of their rows
};

}  // namespace dwgf
