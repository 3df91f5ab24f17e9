// Written as results are: created whole by one rank, then raw rows by all, through the MPI-IO driver.
#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"
#include "store/detail/row_file.hpp"
#include "store/measurements.hpp"

namespace dwgf {
namespace {

constexpr const schema::Dataset* kRecords[] = {&schema::kImageId, &schema::kImageHeight, &schema::kImageWidth,
                                               &schema::kImageName};

}  // namespace

struct MeasurementsWriter::Impl {
  std::string path, aside;
  Communicator group;
  MeasurementsLayout layout;
  RowFile file = {};
};

MeasurementsWriter::MeasurementsWriter(const std::string& path, const MeasurementsLayout& layout,
                                       const Communicator& comm)
    : impl_(new Impl{path, path + ".creating", comm.split(0, comm.rank()), layout}) {
  run_on_root(impl_->group, [&] {
    require_absent(path);
    create_row_file(impl_->aside, {.layout = layout,
                                   .records = kRecords,
                                   .attributes = {{"dwgf_measurements", 1},
                                                  {"sigma", layout.sigma},
                                                  {"image_shape", layout.image_shape}}});
  });
  throw_on_all(impl_->group,
               [&] { impl_->file = RowFile::open_for_writing(impl_->aside, impl_->group.handle().value); });
  throw_on_all(impl_->group, [&] { impl_->file.open_datasets({}, layout.datasets, impl_->aside); });
}

// After an error on another rank, closing a shared file would wait for that rank for ever.
MeasurementsWriter::~MeasurementsWriter() {
  impl_->file.abandon();
}

void MeasurementsWriter::write(const std::string& dataset, std::int64_t row,
                               std::span<const std::byte> bytes) {
  FlatDataset& rows = impl_->file.dataset(dataset);
  rows.write(static_cast<hsize_t>(row * impl_->layout.find(dataset)->row_values()), bytes);
}

void MeasurementsWriter::publish() {
  throw_on_all(impl_->group, [&] {
    impl_->file.close(impl_->aside);
    PosixFile::open_for_writing(impl_->aside).sync();
  });
  run_on_root(impl_->group, [&] { publish_file(impl_->aside, impl_->path); });
}

}  // namespace dwgf
