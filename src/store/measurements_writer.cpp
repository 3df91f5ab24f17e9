// Written as results are: created whole by one rank, then raw rows by all, through the MPI-IO driver.
#include <cstring>
#include <filesystem>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"
#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_handle.hpp"
#include "hdf5/hdf5_types.hpp"
#include "store/detail/results_impl.hpp"
#include "store/measurements.hpp"

namespace dwgf {
namespace {

Hdf5Handle open_parallel(const std::string& path, MPI_Comm comm, bool create) {
  prepare_hdf5();
  const std::string what = concat(create ? "creating " : "opening ", path);
  const auto access_list = handle_of(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  checked(H5Pset_fapl_mpio(access_list.id(), comm, MPI_INFO_NULL), what);
  return handle_of(create ? H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_list.id())
                          : H5Fopen(path.c_str(), H5F_ACC_RDWR, access_list.id()),
                   H5Fclose, what);
}

void create_dataset(hid_t file, const std::string& path, hid_t type, const std::vector<hsize_t>& shape) {
  const std::string what = concat("creating ", path);
  const auto create_list = handle_of(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
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

void write_attribute(hid_t file, const std::string& name, hid_t type, const std::vector<hsize_t>& shape,
                     const void* value) {
  const std::string what = concat("writing the attribute ", name);
  const auto space = shape.empty() ? handle_of(H5Screate(H5S_SCALAR), H5Sclose, what)
                                   : handle_of(H5Screate_simple(1, shape.data(), nullptr), H5Sclose, what);
  const auto attribute =
      handle_of(H5Acreate2(file, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what);
  checked(H5Awrite(attribute.id(), type, value), what);
}

template <class Value>
void write_column(hid_t file, const std::string& name, hid_t type, const std::vector<Value>& values,
                  const std::string& path) {
  create_dataset(file, name, type, {values.size()});
  FlatDataset(file, name, path).write(0, std::as_bytes(std::span(values)));
}

void write_images(hid_t file, const std::vector<ImageEntry>& images, const std::string& path) {
  std::vector<std::uint64_t> ids;
  std::vector<std::uint32_t> heights, widths;
  std::string names;
  for (const ImageEntry& image : images) {
    ids.push_back(image.id);
    heights.push_back(image.height);
    widths.push_back(image.width);
    names += fixed_text(image.name, name_bytes, /*keep_tail=*/true);
  }
  write_column(file, "/image/id", H5T_STD_U64LE, ids, path);
  write_column(file, "/image/height", H5T_STD_U32LE, heights, path);
  write_column(file, "/image/width", H5T_STD_U32LE, widths, path);
  create_dataset(file, "/image/name", hdf5_text_type(name_bytes).id(), {images.size()});
  FlatDataset(file, "/image/name", path).write(0, std::as_bytes(std::span(names)));
}

void create_file(const std::string& path, const MeasurementsLayout& layout) {
  const Communicator self = Communicator::self();
  Hdf5Handle file = open_parallel(path, self.handle().value, /*create=*/true);
  write_images(file.id(), layout.images, path);
  for (const DatasetLayout& dataset : layout.datasets) {
    std::vector<hsize_t> shape{layout.images.size()};
    for (const std::int64_t extent : dataset.row_shape) shape.push_back(static_cast<hsize_t>(extent));
    create_dataset(file.id(), dataset.path, hdf5_type(dataset.type).id(), shape);
  }
  for (const auto& [name, array] : layout.shared) {
    create_dataset(file.id(), name, H5T_IEEE_F32LE, {array.shape.begin(), array.shape.end()});
    FlatDataset(file.id(), name, path).write(0, std::as_bytes(std::span(array.values)));
  }
  const int format = 1;
  write_attribute(file.id(), "dwgf_measurements", H5T_NATIVE_INT, {}, &format);
  write_attribute(file.id(), "sigma", H5T_NATIVE_DOUBLE, {}, &layout.sigma);
  write_attribute(file.id(), "image_shape", H5T_NATIVE_INT64, {layout.image_shape.size()},
                  layout.image_shape.data());
  const auto text = hdf5_text_type(H5T_VARIABLE);
  for (const auto& [name, value] : layout.attributes) {
    const char* begin = value.c_str();
    write_attribute(file.id(), name, text.id(), {}, &begin);
  }
  file.close(concat("closing ", path));
}

}  // namespace

struct MeasurementsWriter::Impl {
  std::string path, aside;
  Communicator group;
  std::map<std::string, DatasetLayout> layouts;
  Hdf5Handle file;
  std::map<std::string, std::unique_ptr<FlatDataset>> datasets;
};

MeasurementsWriter::MeasurementsWriter(const std::string& path, const MeasurementsLayout& layout,
                                       const Communicator& comm)
    : impl_(new Impl{path, path + ".creating", comm.split(0, comm.rank()), {}, {}, {}}) {
  run_on_root(impl_->group, [&] {
    require_absent(path);
    create_file(impl_->aside, layout);
  });
  throw_on_all(impl_->group, [&] {
    impl_->file = open_parallel(impl_->aside, impl_->group.handle().value, /*create=*/false);
  });
  throw_on_all(impl_->group, [&] {
    for (const DatasetLayout& dataset : layout.datasets) {
      impl_->layouts[dataset.path] = dataset;
      impl_->datasets[dataset.path] =
          std::make_unique<FlatDataset>(impl_->file.id(), dataset.path, impl_->aside);
    }
  });
}

// After an error on another rank, closing a shared file would wait for that rank for ever.
MeasurementsWriter::~MeasurementsWriter() {
  for (auto& [name, dataset] : impl_->datasets) dataset->abandon();
  impl_->file.abandon();
}

void MeasurementsWriter::write(const std::string& dataset, std::int64_t row,
                               std::span<const std::byte> bytes) {
  const auto values = static_cast<hsize_t>(impl_->layouts.at(dataset).row_values());
  impl_->datasets.at(dataset)->write(static_cast<hsize_t>(row) * values, bytes);
}

void MeasurementsWriter::publish() {
  throw_on_all(impl_->group, [&] {
    impl_->datasets.clear();
    impl_->file.close(concat("closing ", impl_->aside));
    PosixFile::open_for_writing(impl_->aside).sync();
  });
  run_on_root(impl_->group, [&] { publish_file(impl_->aside, impl_->path); });
}

}  // namespace dwgf
