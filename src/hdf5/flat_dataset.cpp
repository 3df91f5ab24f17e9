#include "hdf5/flat_dataset.hpp"

#include <algorithm>

#include <dwgf/base/error.hpp>

#include "hdf5/hdf5_types.hpp"

namespace dwgf {
namespace {

constexpr std::size_t kTransferBytes = std::size_t{1} << 28;  // in one call, well below the counts of MPI-IO

}  // namespace

std::vector<Box> boxes_of_range(const std::vector<hsize_t>& shape, hsize_t first, hsize_t count,
                                hsize_t limit) {
  std::vector<hsize_t> stride(shape.size(), 1);
  for (std::size_t d = shape.size(); d-- > 1;) stride[d - 1] = stride[d] * shape[d];

  std::vector<Box> boxes;
  while (count > 0) {
    Box box;
    for (std::size_t d = 0; d < shape.size(); ++d) box.start.push_back(first / stride[d] % shape[d]);
    // The outermost axis along which whole strides begin here; inside of it everything is taken.
    const hsize_t room = std::min(count, limit);
    std::size_t axis = 0;
    while (axis + 1 < shape.size() && (first % stride[axis] != 0 || stride[axis] > room)) ++axis;
    hsize_t taken = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (d < axis) box.count.push_back(1);
      if (d == axis) box.count.push_back(std::min(room / stride[d], shape[d] - box.start[d]));
      if (d > axis) box.count.push_back(shape[d]);
      taken *= box.count.back();
    }
    first += taken;
    count -= taken;
    boxes.push_back(std::move(box));
  }
  return boxes;
}

FlatDataset::FlatDataset(hid_t file, const std::string& path, const std::string& file_name)
    : path_(path), file_name_(file_name) {
  prepare_hdf5();
  const std::string what = formatted("examining {} of {}", path, file_name);
  dataset_ = Hdf5Handle(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset_) throw DataError("{} has no readable dataset {}: {}", file_name, path, hdf5_message());
  type_ = handle_of(H5Dget_type(dataset_.id()), H5Tclose, what);
  space_ = handle_of(H5Dget_space(dataset_.id()), H5Sclose, what);
  shape_.resize(static_cast<std::size_t>(checked(H5Sget_simple_extent_ndims(space_.id()), what)));
  if (shape_.empty()) throw DataError("{} of {} is a single value, not an array", path, file_name);
  checked(H5Sget_simple_extent_dims(space_.id(), shape_.data(), nullptr), what);
  value_bytes_ = H5Tget_size(type_.id());
  size_ = 1;
  for (const hsize_t extent : shape_) {
    if (extent != 0 && size_ > (hsize_t{1} << 56) / extent) {
      throw DataError("{} of {} claims a shape beyond all bounds; the file is damaged", path, file_name);
    }
    size_ *= extent;
  }
}

bool FlatDataset::has_fixed_place() const {
  if (H5Dget_offset(dataset_.id()) != HADDR_UNDEF) return true;
  const std::string what = formatted("examining {} of {}", path_, file_name_);
  const auto list = handle_of(H5Dget_create_plist(dataset_.id()), H5Pclose, what);
  if (H5Pget_layout(list.id()) != H5D_CHUNKED || H5Pget_nfilters(list.id()) != 0) return false;
  std::vector<hsize_t> chunk(shape_.size());
  checked(H5Pget_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data()), what);
  hsize_t bytes = value_bytes_;
  for (std::size_t d = 0; d < shape_.size(); ++d) bytes *= (shape_[d] + chunk[d] - 1) / chunk[d] * chunk[d];
  return H5Dget_storage_size(dataset_.id()) == bytes;
}

template <class Transfer>
void FlatDataset::for_each_box(hsize_t first, hsize_t count, const Transfer& transfer) const {
  if (first > size_ || count > size_ - first) {
    throw InternalError("values {} ... {} of {}, which has {}", first, first + count, path_, size_);
  }
  hsize_t done = 0;
  for (const Box& box : boxes_of_range(shape_, first, count, kTransferBytes / value_bytes_)) {
    const std::string what = formatted("choosing values of {} of {}", path_, file_name_);
    checked(H5Sselect_hyperslab(space_.id(), H5S_SELECT_SET, box.start.data(), nullptr, box.count.data(),
                                nullptr),
            what);
    hsize_t values = 1;
    for (const hsize_t extent : box.count) values *= extent;
    const auto memory = handle_of(H5Screate_simple(1, &values, nullptr), H5Sclose, what);
    transfer(memory.id(), done);
    done += values;
  }
}

void FlatDataset::read(hsize_t first, std::span<std::byte> bytes) const {
  for_each_box(first, bytes.size() / value_bytes_, [&](hid_t memory, hsize_t done) {
    checked(H5Dread(dataset_.id(), type_.id(), memory, space_.id(), H5P_DEFAULT,
                    bytes.data() + done * value_bytes_),
            formatted("{} of {} cannot be read", path_, file_name_));
  });
}

void FlatDataset::write(hsize_t first, std::span<const std::byte> bytes) {
  for_each_box(first, bytes.size() / value_bytes_, [&](hid_t memory, hsize_t done) {
    checked(H5Dwrite(dataset_.id(), type_.id(), memory, space_.id(), H5P_DEFAULT,
                     bytes.data() + done * value_bytes_),
            formatted("{} of {} cannot be written ({} bytes from value {} on; is the disk full, or a quota?)",
                      path_, file_name_, bytes.size(), first));
  });
}

std::vector<float> FlatDataset::read_floats(hsize_t first, hsize_t count) const {
  if (!is_plain_number(type_.id()))
    throw DataError("{} of {} has numbers of an unusual type; store it as float32 or uint8", path_,
                    file_name_);
  std::vector<float> values(count);
  for_each_box(first, count, [&](hid_t memory, hsize_t done) {
    checked(H5Dread(dataset_.id(), H5T_NATIVE_FLOAT, memory, space_.id(), H5P_DEFAULT, values.data() + done),
            formatted("{} of {} cannot be read", path_, file_name_));
  });
  return values;
}

}  // namespace dwgf
