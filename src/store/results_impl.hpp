/// What an open results file consists of. Private to `store`.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/store/results.hpp>

#include "flat_dataset.hpp"
#include "hdf5_handle.hpp"
#include "posix_file.hpp"

namespace dwgf {

inline constexpr std::size_t name_bytes = 256;
inline constexpr std::size_t reason_bytes = 128;
inline constexpr int results_format = 1;

/// A text in a field of fixed size, padded with zero bytes; what is too long is cut between characters.
std::string fixed_text(const std::string& text, std::size_t bytes, bool keep_tail);
/// The text of such a field.
std::string text_of_field(const char* field, std::size_t bytes);

/// A dataset of the records that every results file has.
struct RecordField {
  const char* path;
  std::size_t bytes;  ///< of one image
  Hdf5Handle (*type)();
};
const std::vector<RecordField>& record_fields();

/// Bytes that a file of this layout takes, about.
std::uint64_t file_bytes(const ResultsLayout& layout);

struct ResultsFile::Impl {
  Impl() = default;
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Opens PATH by HDF5's serial driver, checks all of it and reads its layout. Throws NotFoundError,
  /// DataError.
  static std::unique_ptr<Impl> open_serially(const std::string& path);
  /// Opens the datasets of `layout` in `file`.
  void open_datasets();

  FlatDataset& dataset(const std::string& name) const;
  const DatasetLayout& described(const std::string& name) const;
  void require_row(std::int64_t row) const;
  void require_writable() const;

  template <class Value>
  Value field(const char* name, std::int64_t row) const;
  template <class Value>
  void set_field(const char* name, std::int64_t row, Value value);
  void finish(std::int64_t row, std::uint32_t crc32, float seconds, const std::string& reason,
              ImageState state);

  std::string path;
  ResultsLayout layout;
  Durability durability = Durability::power_safe;
  std::optional<Communicator> group;  ///< of its own; only where written
  PosixFile sync_file;
  Hdf5Handle file;  ///< before its datasets, so that they close first
  std::map<std::string, std::unique_ptr<FlatDataset>> datasets;
};

}  // namespace dwgf
