// Opening a results file: every part of its structure is checked before anything is read or written.
#include <algorithm>
#include <cstring>
#include <set>

#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/agree.hpp>
#include <dwgf/store/results.hpp>

#include "../comm/mpi_handle.hpp"
#include "hdf5_open.hpp"
#include "hdf5_types.hpp"
#include "results_impl.hpp"

namespace dwgf {
namespace {

// Paths of all datasets of the file, by name.
std::vector<std::string> dataset_paths(hid_t file, const std::string& path) {
  struct Found {
    std::vector<std::string> hard;
    std::string other;
  } found;
  const auto visit = [](hid_t, const char* name, const H5L_info_t* info, void* out) -> herr_t {
    try {
      auto& into = *static_cast<Found*>(out);
      info->type == H5L_TYPE_HARD ? into.hard.push_back(std::string("/") + name) : void(into.other = name);
      return 0;
    } catch (...) {
      return -1;
    }
  };
  if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, visit, &found) < 0) {
    throw DataError(concat("the structure of ", path, " cannot be read: ", hdf5_message()));
  }
  if (!found.other.empty())
    throw DataError(concat(path, " has a link, ", found.other, ", which no results file has"));

  std::vector<std::string> datasets;
  for (const auto& name : found.hard) {
    const Hdf5Handle object(H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object) throw DataError(concat(name, " of ", path, " cannot be opened: ", hdf5_message()));
    if (H5Iget_type(object.id()) == H5I_DATASET) datasets.push_back(name);
  }
  return datasets;
}

std::map<std::string, std::string> text_attributes(hid_t file, const std::string& path) {
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    try {
      static_cast<std::vector<std::string>*>(out)->push_back(name);
      return 0;
    } catch (...) {
      return -1;
    }
  };
  if (H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, nullptr, visit, &names) < 0) {
    throw DataError(concat("the attributes of ", path, " cannot be read: ", hdf5_message()));
  }
  std::map<std::string, std::string> texts;
  for (const auto& name : names) {
    if (auto text = read_text_attribute(file, name, path)) texts[name] = *text;
  }
  return texts;
}

void check_format(hid_t file, const std::string& path) {
  if (H5Aexists(file, "dwgf_format") <= 0) {
    throw DataError(
        concat(path, " is an HDF5 file, but not a results file (it has no attribute dwgf_format)"));
  }
  const Hdf5Handle attribute(H5Aopen(file, "dwgf_format", H5P_DEFAULT), H5Aclose);
  const Hdf5Handle space(attribute ? H5Aget_space(attribute.id()) : -1, H5Sclose);
  int format = 0;
  if (!space || H5Sget_simple_extent_npoints(space.id()) != 1 ||
      H5Aread(attribute.id(), H5T_NATIVE_INT, &format) < 0) {
    throw DataError(concat("the attribute dwgf_format of ", path, " is not an integer: ", hdf5_message()));
  }
  if (format != results_format) {
    throw DataError(concat(path, " has results format ", format, ", but this program knows ", results_format,
                           "; use the version of the program that wrote it"));
  }
}

// The records' datasets have exactly the type and shape that they are created with.
hsize_t check_records(hid_t file, const std::string& path) {
  hsize_t images = 0;
  for (const auto& field : record_fields()) {
    const FlatDataset dataset(file, field.path, path);
    const bool first = &field == &record_fields().front();
    if (first) images = dataset.size();
    if (dataset.shape().size() != 1 || dataset.size() != images || images == 0) {
      throw DataError(concat(field.path, " of ", path, " has ", dataset.size(), " values along ",
                             dataset.shape().size(), " axes, but ", images,
                             " images are in the file; it is damaged or was made by another program"));
    }
    if (H5Tequal(dataset.type(), field.type().id()) <= 0) {
      throw DataError(concat(field.path, " of ", path,
                             " has another type than a results file has; it is damaged or was "
                             "made by another program"));
    }
  }
  return images;
}

template <class Value>
std::vector<Value> column(hid_t file, const char* name, hsize_t images, const std::string& path) {
  std::vector<Value> values(images);
  FlatDataset(file, name, path).read(0, std::as_writable_bytes(std::span(values)));
  return values;
}

std::vector<ImageEntry> read_images(hid_t file, hsize_t images, const std::string& path) {
  const auto ids = column<std::uint64_t>(file, "/image/id", images, path);
  const auto heights = column<std::uint32_t>(file, "/image/height", images, path);
  const auto widths = column<std::uint32_t>(file, "/image/width", images, path);
  const auto names = column<std::array<char, name_bytes>>(file, "/image/name", images, path);
  std::vector<ImageEntry> entries;
  entries.reserve(images);
  for (std::size_t k = 0; k < images; ++k) {
    entries.push_back({ids[k], text_of_field(names[k].data(), name_bytes), heights[k], widths[k]});
  }
  return entries;
}

DatasetLayout read_dataset_layout(const FlatDataset& dataset, hsize_t images, const std::string& path) {
  const auto type = number_type_of(dataset.type());
  if (!type) {
    throw DataError(concat(dataset.path(), " of ", path,
                           " has a type that no results file has; it is damaged or was made "
                           "by another program"));
  }
  if (dataset.shape().front() != images || dataset.size() == 0) {
    throw DataError(concat(dataset.path(), " of ", path, " has ", dataset.shape().front(), " rows of ",
                           dataset.size() / std::max<hsize_t>(dataset.shape().front(), 1), " values for ",
                           images, " images"));
  }
  DatasetLayout layout{dataset.path(), *type, {}};
  for (std::size_t d = 1; d < dataset.shape().size(); ++d) {
    layout.row_shape.push_back(static_cast<std::int64_t>(dataset.shape()[d]));
  }
  return layout;
}

constexpr std::string_view constants_group = "/operator/";

bool is_record(const std::string& path) {
  const auto& fields = record_fields();
  return std::any_of(fields.begin(), fields.end(),
                     [&](const RecordField& field) { return path == field.path; });
}

}  // namespace

std::unique_ptr<ResultsFile::Impl> ResultsFile::Impl::open_serially(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->file = open_hdf5(path);
  const hid_t file = impl->file.id();
  check_format(file, path);
  const hsize_t images = check_records(file, path);
  for (const auto& name : dataset_paths(file, path)) {
    if (is_record(name)) continue;
    if (name.starts_with(constants_group)) {
      const FlatDataset constant(file, name, path);
      impl->layout.constants[name.substr(constants_group.size())] = {
          {constant.shape().begin(), constant.shape().end()}, {}};
      continue;
    }
    impl->layout.datasets.push_back(read_dataset_layout(FlatDataset(file, name, path), images, path));
  }
  impl->layout.images = read_images(file, images, path);
  impl->layout.attributes = text_attributes(file, path);
  impl->open_datasets();
  return impl;
}

void ResultsFile::Impl::open_datasets() {
  for (const auto& field : record_fields()) {
    datasets[field.path] = std::make_unique<FlatDataset>(file.id(), field.path, path);
  }
  for (const auto& dataset : layout.datasets) {
    datasets[dataset.path] = std::make_unique<FlatDataset>(file.id(), dataset.path, path);
  }
}

ResultsFile ResultsFile::open_for_reading(const std::string& path) {
  return ResultsFile(Impl::open_serially(path));
}

ResultsFile ResultsFile::open_for_writing(const std::string& path, const Communicator& comm,
                                          Durability durability) {
  Communicator group = comm.split(0, comm.rank());
  std::unique_ptr<Impl> impl;
  agree(group, [&] {
    impl = Impl::open_serially(path);
    for (const auto& [name, dataset] : impl->datasets) {
      if (dataset->has_fixed_place()) continue;
      throw DataError(
          concat(name, " of ", path,
                 " is stored in compressed or separate pieces, which cannot be written "
                 "safely while ranks may be killed; go on with the file as this program wrote it"));
    }
    impl->sync_file = PosixFile::open_for_writing(path);
    impl->durability = durability;
    impl->datasets.clear();
    impl->file.close(concat("closing ", path));
  });
  agree(group, [&] {
    const std::string what = concat("opening ", path, " for writing");
    const auto access_list = handle_of(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
    checked(H5Pset_fapl_mpio(access_list.id(), group.handle().value, MPI_INFO_NULL), what);
    impl->file = handle_of(H5Fopen(path.c_str(), H5F_ACC_RDWR, access_list.id()), H5Fclose, what);
  });
  agree(group, [&] { impl->open_datasets(); });
  impl->group.emplace(std::move(group));
  return ResultsFile(std::move(impl));
}

}  // namespace dwgf
