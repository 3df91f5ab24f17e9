// A results file is made aside, complete and on the disk, before it appears under its name.
#include "store/detail/results_create.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/replace_file.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"
#include "hdf5/hdf5_types.hpp"
#include "store/detail/results_impl.hpp"
#include "store/detail/shards.hpp"
#include "store/results.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

void require_sensible(const ResultsLayout& layout) {
  if (layout.images.empty()) throw InternalError("a results file needs at least one image");
  std::set<std::string> paths;
  for (const auto& dataset : layout.datasets) {
    if (dataset.type == NumberType::none)
      throw InternalError(concat(dataset.path, " of type 'none' is to be left out"));
    if (dataset.path.size() < 2 || dataset.path[0] != '/' || dataset.path.starts_with("/image/") ||
        !paths.insert(dataset.path).second) {
      throw InternalError(
          concat("'", dataset.path, "' cannot be a dataset of a results file, or is named twice"));
    }
    dataset.row_bytes();  // throws if beyond all bounds
  }
}

void require_space(const std::string& path, const ResultsLayout& layout) {
  struct statvfs system {};
  const std::string directory = directory_of(path);
  if (statvfs(directory.c_str(), &system) != 0) return;  // the write itself will tell
  const std::uint64_t needed = file_bytes(layout);
  const std::uint64_t largest = needed / std::max<std::uint64_t>(1, planned_shards(path, layout).size());
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && largest > limit.rlim_cur) {
    throw IoError(concat(
        "the results file ", path, " needs ", largest, " bytes, but files here are limited to ",
        limit.rlim_cur,
        " (ulimit -f, or the batch system); raise the limit, or choose more files (store.shards), fewer "
        "images or smaller types (store.particles, store.latents)"));
  }
  const std::uint64_t available = std::uint64_t{system.f_bavail} * system.f_frsize;
  if (needed <= available) return;
  throw IoError(concat("the results file ", path, " needs ", needed, " bytes, but ", directory, " has ",
                       available,
                       " bytes free; choose another place (store.out), fewer images or smaller types "
                       "(store.particles, store.latents)"));
}

/// Takes the space on the disk: a quota or a full disk is then told before any work is done, and by the
/// system's own words. Nothing where the file system cannot.
void reserve(const std::string& path, std::uint64_t bytes) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw IoError(concat("creating ", path, ": ", system_text(errno)));
  int error = 0;
  // posix_fallocate would write into every block where the system call is not known.
  while ((error = fallocate(descriptor, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno) == EINTR) {
  }
  ::close(descriptor);
  if (error == 0 || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL) return;
  throw IoError(concat("the results file ", path, " needs ", bytes, " bytes in ", directory_of(path), ": ",
                       system_text(error),
                       "; make space, choose another place (store.out), fewer images or smaller types "
                       "(store.particles, store.latents)"));
}

Hdf5Handle create_file(const std::string& path, std::uint64_t alignment, MPI_Comm comm) {
  prepare_hdf5();
  const std::string what = concat("creating ", path);
  const auto access_list = handle_of(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  checked(H5Pset_fapl_mpio(access_list.id(), comm, MPI_INFO_NULL), what);
  if (alignment > 1) checked(H5Pset_alignment(access_list.id(), alignment, alignment), what);
  return handle_of(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_list.id()), H5Fclose, what);
}

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

/// Where the bytes of a dataset lie: in one piece, in chunks, or in shards.
struct Placement {
  std::uint64_t chunk_bytes = 0;
  const std::vector<ShardPlace>* shards = nullptr;
};

// What is in no shard reads as "not done" and NaN.
void place_virtually(hid_t create_list, const std::string& path, hid_t type,
                     const std::vector<hsize_t>& shape, const std::vector<ShardPlace>& shards) {
  const std::string what = concat("creating ", path);
  map_onto_shards(create_list, path, shape, shards);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  if (H5Tget_class(type) == H5T_FLOAT) checked(H5Pset_fill_value(create_list, H5T_NATIVE_FLOAT, &nan), what);
}

void create_dataset(hid_t file, const std::string& path, hid_t type, const std::vector<hsize_t>& shape,
                    const Placement& placement = {}) {
  const std::string what = concat("creating ", path);
  const auto create_list = handle_of(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  if (placement.shards) {
    place_virtually(create_list.id(), path, type, shape, *placement.shards);
  } else {
    checked(H5Pset_layout(create_list.id(), H5D_CONTIGUOUS), what);
    if (placement.chunk_bytes > 0) {
      const auto chunk = chunk_shape(shape, H5Tget_size(type), placement.chunk_bytes);
      checked(H5Pset_chunk(create_list.id(), static_cast<int>(chunk.size()), chunk.data()), what);
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

void write_attribute(hid_t file, const std::string& name, hid_t type, const void* value) {
  const std::string what = concat("writing the attribute ", name);
  const auto space = handle_of(H5Screate(H5S_SCALAR), H5Sclose, what);
  const auto attribute =
      handle_of(H5Acreate2(file, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what);
  checked(H5Awrite(attribute.id(), type, value), what);
}

void create_structure(hid_t file, const ResultsLayout& layout, const std::vector<ShardPlace>& shards) {
  const hsize_t images = layout.images.size();
  const auto* places = shards.empty() ? nullptr : &shards;
  for (const auto& field : record_fields())
    create_dataset(file, field.path, field.type().id(), {images}, {0, field.changes ? places : nullptr});
  for (const auto& dataset : layout.datasets) {
    std::vector<hsize_t> shape{images};
    for (const std::int64_t extent : dataset.row_shape) shape.push_back(static_cast<hsize_t>(extent));
    create_dataset(file, dataset.path, hdf5_type(dataset.type).id(), shape, {layout.chunk_bytes, places});
  }
  for (const auto& [name, array] : layout.constants) {
    create_dataset(file, "/operator/" + name, hdf5_type(NumberType::float32).id(),
                   {array.shape.begin(), array.shape.end()});
  }
  write_attribute(file, "dwgf_format", H5T_NATIVE_INT, &results_format);
  // Texts of any length, which h5py gives as str.
  const auto text = hdf5_text_type(H5T_VARIABLE);
  for (const auto& [name, value] : layout.attributes) {
    const char* begin = value.c_str();
    write_attribute(file, name, text.id(), &begin);
  }
}

void write_records(hid_t file, const ResultsLayout& layout, const std::string& path, bool sharded) {
  for (const auto& [name, array] : layout.constants)
    FlatDataset(file, "/operator/" + name, path).write(0, std::as_bytes(std::span(array.values)));
  constexpr std::size_t piece = 4096;  // images at a time
  for (const auto& field : record_fields()) {
    if (sharded && field.changes) continue;
    FlatDataset dataset(file, field.path, path);
    const std::string name = field.path;
    for (std::size_t first = 0; first < layout.images.size(); first += piece) {
      const std::size_t count = std::min(piece, layout.images.size() - first);
      std::string bytes(count * field.bytes, '\0');
      for (std::size_t k = 0; k < count; ++k) {
        const ImageEntry& image = layout.images[first + k];
        char* at = bytes.data() + k * field.bytes;
        if (name == "/image/id") std::memcpy(at, &image.id, field.bytes);
        if (name == "/image/height") std::memcpy(at, &image.height, field.bytes);
        if (name == "/image/width") std::memcpy(at, &image.width, field.bytes);
        if (name == "/image/name")
          std::memcpy(at, fixed_text(image.name, name_bytes, true).data(), name_bytes);
      }
      dataset.write(first, std::as_bytes(std::span(bytes)));
    }
  }
}

}  // namespace

void require_place_for_results(const std::string& path) {
  const std::string directory = directory_of(path);
  std::error_code ignored;
  if (!fs::exists(directory, ignored)) {
    throw IoError(concat("the directory ", directory, " for the results file does not exist on host ",
                         host_name(), "; create it (mkdir -p ", directory, ") or change store.out"));
  }
  if (!fs::is_directory(directory, ignored))
    throw IoError(concat(directory, " is not a directory; change store.out"));
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    throw IoError(concat("the directory ", directory, " for the results file is not writable on host ",
                         host_name(), " (", system_text(errno), "); change store.out or its permissions"));
  }
}

void create_file_of_rows(const std::string& path, const ResultsLayout& layout) {
  const std::string aside = path + ".creating";
  const Communicator self = Communicator::self();
  try {
    // Before HDF5 as a trial: a file of its that cannot be finished takes the process down when MPI ends.
    reserve(aside, file_bytes(layout));
    fs::remove(aside);
    Hdf5Handle file = create_file(aside, layout.alignment, self.handle().value);
    create_structure(file.id(), layout, {});
    write_records(file.id(), layout, aside, false);
    // With the MPI-IO driver this is also an fsync.
    checked(H5Fflush(file.id(), H5F_SCOPE_GLOBAL), concat("writing ", aside));
    file.close(concat("closing ", aside));
    reserve(aside, fs::file_size(aside));
    PosixFile::open_for_writing(aside).sync();  // what closing wrote
    publish_file(aside, path);
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove(aside, ignored);
    throw;
  }
}

namespace {

/// By the serial driver: it writes no row, and the parallel one knows no virtual datasets.
void create_master(const std::string& path, const ResultsLayout& layout,
                   const std::vector<ShardPlace>& shards) {
  const std::string aside = path + ".creating";
  const std::string what = concat("creating ", aside);
  prepare_hdf5();
  try {
    Hdf5Handle file =
        handle_of(H5Fcreate(aside.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, what);
    create_structure(file.id(), layout, shards);
    write_records(file.id(), layout, aside, true);
    file.close(concat("closing ", aside));
    PosixFile::open_for_writing(aside).sync();
    publish_file(aside, path);
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove(aside, ignored);
    throw;
  }
}

bool holds_results(const std::string& path) {
  const std::vector<ImageState> states = ResultsFile::open_for_reading(path).states();
  return std::any_of(states.begin(), states.end(),
                     [](ImageState state) { return state != ImageState::not_done; });
}

/// Takes away what a creation that was cut short left, but nothing that holds results: a shard of this very
/// file stays, another one is refused.
void clear_leftovers(const std::string& folder, const std::map<std::string, ResultsLayout>& wanted) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path();
    if (path.ends_with(".creating")) {
      fs::remove(path);
      continue;
    }
    const auto planned = wanted.find(path);
    bool filled = false, own = false;
    try {
      own = planned != wanted.end() &&
            why_foreign(ResultsFile::open_for_reading(path).layout(), planned->second).empty();
      filled = !own && holds_results(path);
    } catch (const DataError&) {
      filled = true;
    }
    if (filled) {
      throw IoError(concat(path,
                           " is there already, but not a shard of the results file that is to be made; "
                           "move its folder away, or name another store.out"));
    }
    if (!own) fs::remove(path);
  }
}

/// A file of this layout in place of nothing.
void create_files(const std::string& path, const ResultsLayout& layout) {
  const std::vector<ShardPlace> places = planned_shards(path, layout);
  if (places.empty()) return create_file_of_rows(path, layout);
  const std::string folder = folder_of_shards(path);
  std::map<std::string, ResultsLayout> shards;
  for (std::size_t k = 0; k < places.size(); ++k)
    shards[path_of_shard(path, places[k])] = layout_of_shard(layout, places[k], k, places.size());
  try {
    fs::create_directory(folder);
    clear_leftovers(folder, shards);
  } catch (const fs::filesystem_error& error) {
    throw IoError(concat("the folder of shards ", folder, ": ", error.code().message()));
  }
  for (const auto& [shard, own] : shards) {
    std::error_code ignored;
    if (!fs::exists(shard, ignored)) create_file_of_rows(shard, own);
  }
  create_master(path, layout, places);
}

}  // namespace

ResultsFile ResultsFile::create(const std::string& path, const ResultsLayout& layout,
                                const Communicator& comm, Durability durability) {
  Communicator group = comm.split(0, comm.rank());
  throw_on_all(group, [&] {
    require_sensible(layout);
    require_place_for_results(path);
  });
  // By one rank: a disk that fails is then its error alone, and no other rank waits for it inside a
  // collective of HDF5.
  run_on_root(group, [&] {
    std::error_code ignored;
    require_absent(path);
    require_space(path, layout);
    fs::remove(path + ".creating", ignored);
    create_files(path, layout);
  });
  return open_for_writing(path, comm, durability);
}

}  // namespace dwgf
