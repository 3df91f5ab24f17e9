#include "store/detail/row_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <fcntl.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/posix_file.hpp"
#include "comm/mpi_handle.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/hdf5_types.hpp"

namespace dwgf {
namespace {

Hdf5Handle parallel_access(MPI_Comm comm, const std::string& what) {
  prepare_hdf5();
  auto access_list = handle_of(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  checked(H5Pset_fapl_mpio(access_list.id(), comm, MPI_INFO_NULL), what);
  return access_list;
}

Hdf5Handle create_file(const std::string& path, const RowFilePlan& plan) {
  const std::string what = formatted("creating {}", path);
  prepare_hdf5();
  if (!plan.shards.empty()) {
    const auto serial = handle_of(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
    leave_locks(serial.id(), what);
    return handle_of(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, serial.id()), H5Fclose, what);
  }
  const Communicator self = Communicator::self();
  const auto access_list = parallel_access(self.handle().value, what);
  if (plan.alignment > 1) checked(H5Pset_alignment(access_list.id(), plan.alignment, plan.alignment), what);
  return handle_of(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_list.id()), H5Fclose, what);
}

constexpr hsize_t kLargeImage = hsize_t{1} << 22;  // pixels
constexpr hsize_t kRegion = 512;                   // its side

/// Whole rows where one fits; else of a row the last axes whole and a part of the one before them.
std::vector<hsize_t> chunk_shape(const std::vector<hsize_t>& shape, std::size_t value_bytes,
                                 std::uint64_t chunk_bytes) {
  std::vector<hsize_t> chunk(shape.size(), 1);
  std::uint64_t bytes = value_bytes;
  for (std::size_t d = shape.size(); d-- > 0;) {
    chunk[d] = std::clamp<hsize_t>(chunk_bytes / bytes, 1, shape[d]);
    bytes *= chunk[d];
    if (chunk[d] < shape[d]) break;
  }
  return chunk;
}

bool is_large(const std::vector<hsize_t>& shape) {
  if (shape.size() < 3) return false;
  const hsize_t height = shape[shape.size() - 2], width = shape.back();
  return height >= kRegion && width >= kRegion && height * width >= kLargeImage;
}

/// Where the bytes of a dataset lie: in one piece, in chunks, or in shards.
struct Placement {
  std::uint64_t chunk_bytes = 0;
  const std::vector<ShardPlace>* shards = nullptr;
};

// What is in no shard reads as "not done" and NaN.
void place_virtually(hid_t create_list, const std::string& path, hid_t type,
                     const std::vector<hsize_t>& shape, const std::vector<ShardPlace>& shards) {
  const std::string what = formatted("creating {}", path);
  map_onto_shards(create_list, path, shape, shards);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  if (H5Tget_class(type) == H5T_FLOAT) checked(H5Pset_fill_value(create_list, H5T_NATIVE_FLOAT, &nan), what);
}

void create_dataset(hid_t file, const std::string& path, hid_t type, const std::vector<hsize_t>& shape,
                    const Placement& placement = {}) {
  const std::string what = formatted("creating {}", path);
  const auto create_list = handle_of(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  if (placement.shards) {
    place_virtually(create_list.id(), path, type, shape, *placement.shards);
  } else {
    checked(H5Pset_layout(create_list.id(), H5D_CONTIGUOUS), what);
    if (placement.chunk_bytes > 0) {
      const auto chunk = chunk_shape(shape, H5Tget_size(type), placement.chunk_bytes);
      checked(H5Pset_chunk(create_list.id(), static_cast<int>(chunk.size()), chunk.data()), what);
    } else if (const auto region = region_of(shape); !region.empty()) {
      checked(H5Pset_chunk(create_list.id(), static_cast<int>(region.size()), region.data()), what);
    }
    checked(H5Pset_alloc_time(create_list.id(), H5D_ALLOC_TIME_EARLY), what);
    checked(H5Pset_fill_time(create_list.id(), H5D_FILL_TIME_NEVER), what);
  }
  checked(H5Pset_obj_track_times(create_list.id(), false), what);
  const auto link_list = handle_of(H5Pcreate(H5P_LINK_CREATE), H5Pclose, what);
  checked(H5Pset_create_intermediate_group(link_list.id(), 1), what);
  const auto space =
      handle_of(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose, what);
  handle_of(H5Dcreate2(file, path.c_str(), type, space.id(), link_list.id(), create_list.id(), H5P_DEFAULT),
            H5Dclose, what);
}

/// A number, or a list of so many.
void write_attribute(hid_t file, const std::string& name, hid_t type, const void* value, hsize_t list = 0) {
  const std::string what = formatted("writing the attribute {}", name);
  const auto space =
      handle_of(list > 0 ? H5Screate_simple(1, &list, nullptr) : H5Screate(H5S_SCALAR), H5Sclose, what);
  const auto attribute =
      handle_of(H5Acreate2(file, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what);
  checked(H5Awrite(attribute.id(), type, value), what);
}

void write_attributes(hid_t file, const RowFilePlan& plan) {
  for (const auto& [name, value] : plan.attributes) {
    if (const int* number = std::get_if<int>(&value)) write_attribute(file, name, H5T_NATIVE_INT, number);
    if (const double* real = std::get_if<double>(&value))
      write_attribute(file, name, H5T_NATIVE_DOUBLE, real);
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value))
      write_attribute(file, name, H5T_NATIVE_INT64, list->data(), list->size());
  }
  // Texts of any length, which h5py gives as str.
  const auto text = hdf5_text_type(H5T_VARIABLE);
  for (const auto& [name, value] : plan.layout.attributes) {
    const char* begin = value.c_str();
    write_attribute(file, name, text.id(), &begin);
  }
}

bool changes(const schema::Dataset& record) {
  return record.written == schema::Written::at_commit;
}

void create_structure(hid_t file, const RowFilePlan& plan) {
  const hsize_t images = plan.layout.images.size();
  const auto* places = plan.shards.empty() ? nullptr : &plan.shards;
  for (const schema::Dataset* record : plan.records)
    create_dataset(file, record->path, record_type(record->type).id(), {images},
                   {0, changes(*record) ? places : nullptr});
  for (const DatasetLayout& dataset : plan.layout.datasets) {
    std::vector<hsize_t> shape{images};
    for (const std::int64_t extent : dataset.row_shape) shape.push_back(static_cast<hsize_t>(extent));
    create_dataset(file, dataset.path, hdf5_type(dataset.type).id(), shape, {plan.chunk_bytes, places});
  }
  for (const auto& [name, array] : plan.layout.constants) {
    create_dataset(file, schema::kOperatorArray.named(name), hdf5_type(NumberType::float32).id(),
                   {array.shape.begin(), array.shape.end()});
  }
}

/// The bytes of a record of images [first, first + count); zero for what a commit writes.
std::string record_bytes(const schema::Dataset& record, std::span<const ImageEntry> images) {
  std::string bytes;
  const auto append = [&](const auto& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (const ImageEntry& image : images) {
    if (&record == &schema::kImageId) append(image.id);
    if (&record == &schema::kImageHeight) append(image.height);
    if (&record == &schema::kImageWidth) append(image.width);
    if (&record == &schema::kImagePrompt) bytes += fixed_text(image.prompt, schema::kPromptBytes, false);
    if (&record == &schema::kImageName) bytes += fixed_text(image.name, schema::kNameBytes, true);
  }
  if (changes(record)) bytes.resize(images.size() * H5Tget_size(record_type(record.type).id()), '\0');
  return bytes;
}

void write_constants_and_records(hid_t file, const RowFilePlan& plan, const std::string& path) {
  for (const auto& [name, array] : plan.layout.constants) {
    FlatDataset constant(file, schema::kOperatorArray.named(name), path);
    constant.write(0, std::as_bytes(std::span(array.values)));
  }
  constexpr std::size_t piece = 4096;  // images at a time
  const std::span<const ImageEntry> images(plan.layout.images);
  for (const schema::Dataset* record : plan.records) {
    if (!plan.shards.empty() && changes(*record)) continue;
    FlatDataset dataset(file, record->path, path);
    for (std::size_t first = 0; first < images.size(); first += piece) {
      const std::string bytes =
          record_bytes(*record, images.subspan(first, std::min(piece, images.size() - first)));
      dataset.write(first, std::as_bytes(std::span(bytes)));
    }
  }
}

}  // namespace

std::vector<hsize_t> region_of(const std::vector<hsize_t>& shape) {
  if (!is_large(shape)) return {};
  std::vector<hsize_t> region(shape.size(), 1);
  region.back() = region[region.size() - 2] = kRegion;
  return region;
}

void create_row_file(const std::string& path, const RowFilePlan& plan) {
  Hdf5Handle file = create_file(path, plan);
  create_structure(file.id(), plan);
  write_attributes(file.id(), plan);
  write_constants_and_records(file.id(), plan, path);
  // With the MPI-IO driver this is also an fsync.
  if (plan.shards.empty()) checked(H5Fflush(file.id(), H5F_SCOPE_GLOBAL), formatted("writing {}", path));
  file.close(formatted("closing {}", path));
}

void reserve_space(const std::string& path, std::uint64_t bytes) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw IoError("creating {}: {}", path, system_text(errno));
  int error = 0;
  // posix_fallocate would write into every block where the system call is not known.
  while ((error = fallocate(descriptor, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno) == EINTR) {
  }
  ::close(descriptor);
  if (error == 0 || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL) return;
  throw IoError(
      "the file {} needs {} bytes: {}; make space, choose another place (store.out), fewer images or smaller "
      "types (store.particles, store.latents)",
      path, bytes, system_text(error));
}

RowFile RowFile::open_for_writing(const std::string& path, MPI_Comm comm) {
  const std::string what = formatted("opening {} for writing", path);
  const auto access_list = parallel_access(comm, what);
  return RowFile(handle_of(H5Fopen(path.c_str(), H5F_ACC_RDWR, access_list.id()), H5Fclose, what));
}

void RowFile::open_datasets(std::span<const schema::Dataset* const> records,
                            const std::vector<DatasetLayout>& datasets, const std::string& path) {
  const auto open = [&](const std::string& name) {
    datasets_[name] = std::make_unique<FlatDataset>(file_.id(), name, path);
  };
  for (const schema::Dataset* record : records) open(record->path);
  for (const DatasetLayout& dataset : datasets) open(dataset.path);
}

FlatDataset& RowFile::dataset(const std::string& name) const {
  const auto found = datasets_.find(name);
  if (found == datasets_.end()) throw InternalError("the file of rows has no dataset {}", name);
  return *found->second;
}

void RowFile::close(const std::string& path) {
  datasets_.clear();
  file_.close(formatted("closing {}", path));
}

void RowFile::abandon() {
  for (auto& [name, dataset] : datasets_) dataset->abandon();
  file_.abandon();
}

std::vector<const schema::Dataset*> with_prompts(std::span<const schema::Dataset* const> records,
                                                 const RowLayout& layout) {
  std::vector<const schema::Dataset*> all(records.begin(), records.end());
  if (has_prompts(layout)) all.push_back(&schema::kImagePrompt);
  return all;
}

Hdf5Handle record_type(schema::Type type) {
  const auto copy = [](hid_t of) { return handle_of(H5Tcopy(of), H5Tclose, "making an HDF5 type"); };
  prepare_hdf5();
  switch (type) {
    case schema::Type::uint8:
      return copy(H5T_STD_U8LE);
    case schema::Type::uint32:
      return copy(H5T_STD_U32LE);
    case schema::Type::uint64:
      return copy(H5T_STD_U64LE);
    case schema::Type::float32:
      return copy(H5T_IEEE_F32LE);
    case schema::Type::name:
      return hdf5_text_type(schema::kNameBytes);
    case schema::Type::reason:
      return hdf5_text_type(schema::kReasonBytes);
    case schema::Type::prompt:
      return hdf5_text_type(schema::kPromptBytes);
    case schema::Type::stored:
      break;
  }
  throw InternalError("a record has a type of its own");
}

std::string fixed_text(const std::string& text, std::size_t bytes, bool keep_tail) {
  // A byte 10xxxxxx goes on with the character before it.
  const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; };
  std::string field = text;
  if (text.size() > bytes && keep_tail) {
    std::size_t begin = text.size() - bytes;
    while (begin < text.size() && continues(text[begin])) ++begin;
    field = text.substr(begin);
  } else if (text.size() > bytes) {
    std::size_t end = bytes;
    while (end > 0 && continues(text[end])) --end;
    field = text.substr(0, end);
  }
  field.resize(bytes, '\0');
  return field;
}

std::string text_of_field(const char* field, std::size_t bytes) {
  return std::string(field, std::find(field, field + bytes, '\0'));
}

}  // namespace dwgf
