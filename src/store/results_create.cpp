// A results file is made aside, complete and on the disk, before it appears under its name.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/agree.hpp>
#include <dwgf/store/results.hpp>

#include "../comm/mpi_handle.hpp"
#include "hdf5_types.hpp"
#include "replace_file.hpp"
#include "results_impl.hpp"

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
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && needed > limit.rlim_cur) {
    throw IoError(
        concat("the results file ", path, " needs ", needed, " bytes, but files here are limited to ",
               limit.rlim_cur,
               " (ulimit -f, or the batch system); raise the limit, or choose fewer images or smaller types "
               "(store.particles, store.latents)"));
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

void create_dataset(hid_t file, const std::string& path, hid_t type, const std::vector<hsize_t>& shape) {
  const std::string what = concat("creating ", path);
  const auto create_list = handle_of(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  checked(H5Pset_layout(create_list.id(), H5D_CONTIGUOUS), what);
  checked(H5Pset_alloc_time(create_list.id(), H5D_ALLOC_TIME_EARLY), what);
  checked(H5Pset_fill_time(create_list.id(), H5D_FILL_TIME_NEVER), what);
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

void create_structure(hid_t file, const ResultsLayout& layout) {
  const hsize_t images = layout.images.size();
  for (const auto& field : record_fields()) create_dataset(file, field.path, field.type().id(), {images});
  for (const auto& dataset : layout.datasets) {
    std::vector<hsize_t> shape{images};
    for (const std::int64_t extent : dataset.row_shape) shape.push_back(static_cast<hsize_t>(extent));
    create_dataset(file, dataset.path, hdf5_type(dataset.type).id(), shape);
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

void write_records(hid_t file, const ResultsLayout& layout, const std::string& path) {
  for (const auto& [name, array] : layout.constants)
    FlatDataset(file, "/operator/" + name, path).write(0, std::as_bytes(std::span(array.values)));
  constexpr std::size_t piece = 4096;  // images at a time
  for (const auto& field : record_fields()) {
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

ResultsFile ResultsFile::create(const std::string& path, const ResultsLayout& layout,
                                const Communicator& comm, Durability durability) {
  Communicator group = comm.split(0, comm.rank());
  const std::string aside = path + ".creating";
  agree(group, [&] {
    require_sensible(layout);
    require_place_for_results(path);
  });
  agree_on_root(group, [&] {
    std::error_code ignored;
    require_absent(path);
    require_space(path, layout);
    fs::remove(aside, ignored);
  });

  // By one rank: a disk that fails is then its error alone, and no other rank waits for it inside a
  // collective of HDF5.
  agree_on_root(group, [&] {
    const Communicator self = Communicator::self();
    try {
      // Before HDF5 as a trial: a file of its that cannot be finished takes the process down when MPI ends.
      reserve(aside, file_bytes(layout));
      fs::remove(aside);
      Hdf5Handle file = create_file(aside, layout.alignment, self.handle().value);
      create_structure(file.id(), layout);
      write_records(file.id(), layout, aside);
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
  });
  return open_for_writing(path, comm, durability);
}

}  // namespace dwgf
