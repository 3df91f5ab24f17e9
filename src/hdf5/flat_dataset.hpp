/// One HDF5 dataset as the row-major sequence of its values, of which any range can be read and written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hdf5/hdf5_handle.hpp"

namespace dwgf {

/// A block of an array: `count[d]` from `start[d]` on along every axis.
struct Box {
  std::vector<hsize_t> start, count;
};

/// Blocks that together are the values [first, first + count) of an array of this shape, in order, each of at
/// most `limit` values. @pre the range lies within the array, limit >= 1
std::vector<Box> boxes_of_range(const std::vector<hsize_t>& shape, hsize_t first, hsize_t count,
                                hsize_t limit);

class FlatDataset {
 public:
  /// Throws DataError (there is no such dataset). `file_name` is for messages.
  FlatDataset(hid_t file, const std::string& path, const std::string& file_name);

  const std::string& path() const { return path_; }
  const std::vector<hsize_t>& shape() const { return shape_; }
  hid_t type() const { return type_.id(); }
  hid_t id() const { return dataset_.id(); }
  std::size_t value_bytes() const { return value_bytes_; }
  /// Of all its values.
  hsize_t size() const { return size_; }
  /// Forgets the HDF5 object without closing it.
  void abandon() { dataset_.abandon(); }
  /// Whether all of its bytes have one fixed place in the file, given when it was created: in one piece, or
  /// in pieces that are all allocated and not compressed.
  bool has_fixed_place() const;

  /// Values [first, first + bytes.size() / value_bytes()), as stored; independent of other ranks.
  /// @pre the range lies within the dataset. Throws IoError.
  void read(hsize_t first, std::span<std::byte> bytes) const;
  void write(hsize_t first, std::span<const std::byte> bytes);

  /// The values of the range converted to `float` (which HDF5 does).
  std::vector<float> read_floats(hsize_t first, hsize_t count) const;

 private:
  template <class Transfer>
  void for_each_box(hsize_t first, hsize_t count, const Transfer& transfer) const;

  std::string path_, file_name_;
  Hdf5Handle dataset_, type_, space_;
  std::vector<hsize_t> shape_;
  std::size_t value_bytes_ = 0;
  hsize_t size_ = 0;
};

}  // namespace dwgf
