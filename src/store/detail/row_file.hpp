/// An HDF5 file of rows, one an image, as it is made and opened to be written: a results file, a shard, a
/// measurements file. Private to `store`.
///
/// Made by one rank, whole: datasets are allocated early and never filled, so that all later writes are raw
/// data at fixed places. Written through the MPI-IO driver always.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <mpi.h>

#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_handle.hpp"
#include "store/detail/shards.hpp"
#include "store/row_layout.hpp"
#include "store/schema.hpp"

namespace dwgf {

/// How a file of rows is made.
struct RowFilePlan {
  const RowLayout& layout;
  /// Those of /image that it has.
  std::span<const schema::Dataset* const> records;
  /// Beside the texts of the layout.
  std::map<std::string, std::variant<int, double, std::vector<std::int64_t>>> attributes;
  std::uint64_t alignment = 0, chunk_bytes = 0;  ///< as in ResultsLayout
  /// Where the rows lie, if not in this file: then what changes in it are virtual datasets, and it is made by
  /// the serial driver (the parallel one knows none).
  std::vector<ShardPlace> shards = {};
};

/// Arrays of large images, of at least 2^22 pixels, are stored in regions of 512 x 512 where no other pieces
/// are asked for: the shape of one, [1, ..., 512, 512]; empty: in one piece. All are allocated and none
/// compressed.
std::vector<hsize_t> region_of(const std::vector<hsize_t>& shape);

/// Makes the file, by one rank, with all that does not change; it is closed and flushed, but has its bytes
/// on the disk only once somebody synchronises it. Replaces what is there. Throws IoError.
void create_row_file(const std::string& path, const RowFilePlan& plan);

/// Takes the space of `path`, which is made if it is not there: a quota or a full disk is then told before
/// any work is done, and by the system's own words. Nothing where the file system cannot. Throws IoError.
void reserve_space(const std::string& path, std::uint64_t bytes);

/// An open file of rows with its datasets.
class RowFile {
 public:
  RowFile() = default;
  explicit RowFile(Hdf5Handle file) : file_(std::move(file)) {}
  /// Collective over `comm`: opens to write. Throws IoError.
  static RowFile open_for_writing(const std::string& path, MPI_Comm comm);

  hid_t id() const { return file_.id(); }
  bool is_open() const { return static_cast<bool>(file_); }
  /// Opens these datasets. Throws DataError.
  void open_datasets(std::span<const schema::Dataset* const> records,
                     const std::vector<DatasetLayout>& datasets, const std::string& path);
  /// Throws InternalError where it was not opened.
  FlatDataset& dataset(const std::string& name) const;
  const std::map<std::string, std::unique_ptr<FlatDataset>>& datasets() const { return datasets_; }

  /// Closes now; collective where it was opened so. Throws IoError.
  void close(const std::string& path);
  /// Forgets all without closing it: where ranks write together closing is collective, and a rank that leaves
  /// by an error is alone.
  void abandon();

 private:
  Hdf5Handle file_;  // before its datasets, so that they close first
  std::map<std::string, std::unique_ptr<FlatDataset>> datasets_;
};

/// `records`, and /image/prompt where the layout has prompts.
std::vector<const schema::Dataset*> with_prompts(std::span<const schema::Dataset* const> records,
                                                 const RowLayout& layout);

/// HDF5's type of a record. @pre not `stored` (checked)
Hdf5Handle record_type(schema::Type type);

/// Returns a text as a field of fixed size, padded with zero bytes; what is too long is cut between
/// characters.
std::string fixed_text(const std::string& text, std::size_t bytes, bool keep_tail);
/// Returns the text of such a field.
std::string text_of_field(const char* field, std::size_t bytes);

}  // namespace dwgf
