// Written as results are: created whole by one rank, then raw rows by all, through the MPI-IO driver.
#include <filesystem>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"
#include "store/detail/row_file.hpp"
#include "store/measurements.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr const schema::Dataset* kRecords[] = {&schema::kImageId, &schema::kImageHeight, &schema::kImageWidth,
                                               &schema::kImageName};

/// What the file takes on the disk, or a little more.
std::uint64_t file_bytes(const MeasurementsLayout& layout) {
  std::uint64_t row = schema::kNameBytes + 32;
  if (has_prompts(layout)) row += schema::kPromptBytes;
  for (const DatasetLayout& dataset : layout.datasets) row += dataset.row_bytes();
  std::uint64_t shared = std::uint64_t{1} << 16;
  for (const auto& [name, array] : layout.constants) shared += array.values.size() * sizeof(float) + 512;
  for (const auto& [name, text] : layout.attributes) shared += name.size() + text.size();
  return layout.images.size() * row + shared;
}

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
    const auto records = with_prompts(kRecords, layout);
    RowFilePlan plan{
        .layout = impl_->layout,
        .records = records,
        .attributes = {
            {"dwgf_measurements", 1}, {"sigma", layout.sigma}, {"image_shape", layout.image_shape}}};
    if (layout.units) {
      plan.attributes["value_scale"] = layout.units->scale;
      plan.attributes["value_offset"] = layout.units->offset;
      if (!layout.units->unit.empty()) impl_->layout.attributes["unit"] = layout.units->unit;
    }
    try {
      // Before HDF5, and again for all of it: a full disk is told here, and leaves nothing behind.
      reserve_space(impl_->aside, file_bytes(layout));
      fs::remove(impl_->aside);
      create_row_file(impl_->aside, plan);
      reserve_space(impl_->aside, fs::file_size(impl_->aside));
    } catch (const Error&) {
      std::error_code ignored;
      fs::remove(impl_->aside, ignored);
      throw;
    }
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
