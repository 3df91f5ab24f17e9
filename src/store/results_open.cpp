// Opening a results file: every part of its structure is checked before anything is read or written.
#include <algorithm>
#include <cstring>
#include <filesystem>

#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/hdf5_types.hpp"
#include "store/detail/results_create.hpp"
#include "store/detail/results_impl.hpp"
#include "store/detail/shards.hpp"
#include "store/results.hpp"

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
    throw DataError("the structure of {} cannot be read: {}", path, hdf5_message());
  }
  if (!found.other.empty())
    throw DataError("{} has a link, {}, which no results file has", path, found.other);

  std::vector<std::string> datasets;
  for (const auto& name : found.hard) {
    const Hdf5Handle object(H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object) throw DataError("{} of {} cannot be opened: {}", name, path, hdf5_message());
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
    throw DataError("the attributes of {} cannot be read: {}", path, hdf5_message());
  }
  std::map<std::string, std::string> texts;
  for (const auto& name : names) {
    if (auto text = read_text_attribute(file, name, path)) texts[name] = *text;
  }
  return texts;
}

void check_format(hid_t file, const std::string& path) {
  if (H5Aexists(file, "dwgf_format") <= 0) {
    throw DataError("{} is an HDF5 file, but not a results file (it has no attribute dwgf_format)", path);
  }
  const std::vector<double> found = read_number_attribute(file, "dwgf_format", path);
  if (found.empty()) throw DataError("the attribute dwgf_format of {} is not a number", path);
  const double format = found.front();
  if (format != kResultsFormat) {
    throw DataError(
        "{} has results format {}, but this program knows {}; use the version of the program that wrote it",
        path, format, kResultsFormat);
  }
}

// The records' datasets have exactly the type and shape that they are created with.
hsize_t check_records(hid_t file, const std::string& path) {
  hsize_t images = 0;
  for (const schema::Dataset* record : schema::kRecords) {
    const FlatDataset dataset(file, record->path, path);
    if (record == schema::kRecords[0]) images = dataset.size();
    if (dataset.shape().size() != 1 || dataset.size() != images || images == 0) {
      throw DataError(
          "{} of {} has {} values along {} axes, but {} images are in the file; it is damaged or was made by "
          "another program",
          record->path, path, dataset.size(), dataset.shape().size(), images);
    }
    if (H5Tequal(dataset.type(), record_type(record->type).id()) <= 0) {
      throw DataError(
          "{} of {} has another type than a results file has; it is damaged or was made by another program",
          record->path, path);
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

/// Into the images, of a file that has them.
void read_prompts(hid_t file, std::vector<ImageEntry>& images, const std::string& path) {
  if (!has_link(file, schema::kImagePrompt.path)) return;
  const FlatDataset prompts(file, schema::kImagePrompt.path, path);
  if (prompts.shape() != std::vector<hsize_t>{images.size()} ||
      H5Tequal(prompts.type(), record_type(schema::kImagePrompt.type).id()) <= 0) {
    throw DataError(
        "{} of {} is not a text of {} bytes for each of its {} images; it is damaged or was made by "
        "another program",
        schema::kImagePrompt.path, path, schema::kPromptBytes, images.size());
  }
  std::array<char, schema::kPromptBytes> field{};
  for (std::size_t k = 0; k < images.size(); ++k) {
    prompts.read(k, std::as_writable_bytes(std::span(field)));
    images[k].prompt = text_of_field(field.data(), field.size());
  }
}

std::vector<ImageEntry> read_images(hid_t file, hsize_t images, const std::string& path, bool with_names) {
  const auto ids = column<std::uint64_t>(file, schema::kImageId.path, images, path);
  const auto heights = column<std::uint32_t>(file, schema::kImageHeight.path, images, path);
  const auto widths = column<std::uint32_t>(file, schema::kImageWidth.path, images, path);
  std::vector<ImageEntry> entries(images);
  for (std::size_t k = 0; k < images; ++k) entries[k] = {ids[k], "", heights[k], widths[k]};
  if (!with_names) return entries;
  const FlatDataset names(file, schema::kImageName.path, path);
  constexpr std::size_t piece = 4096;  // names at a time
  std::vector<std::array<char, schema::kNameBytes>> some;
  for (std::size_t k = 0; k < images; ++k) {
    if (k % piece == 0) {
      some.resize(std::min<std::size_t>(piece, images - k));
      names.read(k, std::as_writable_bytes(std::span(some)));
    }
    entries[k].name = text_of_field(some[k % piece].data(), schema::kNameBytes);
  }
  return entries;
}

DatasetLayout read_dataset_layout(const FlatDataset& dataset, hsize_t images, const std::string& path) {
  const auto type = number_type_of(dataset.type());
  if (!type) {
    throw DataError(
        "{} of {} has a type that no results file has; it is damaged or was made by another program",
        dataset.path(), path);
  }
  if (dataset.shape().front() != images || dataset.size() == 0) {
    throw DataError("{} of {} has {} rows of {} values for {} images", dataset.path(), path,
                    dataset.shape().front(), dataset.size() / std::max<hsize_t>(dataset.shape().front(), 1),
                    images);
  }
  DatasetLayout layout{dataset.path(), *type, {}};
  for (std::size_t d = 1; d < dataset.shape().size(); ++d) {
    layout.row_shape.push_back(static_cast<std::int64_t>(dataset.shape()[d]));
  }
  return layout;
}

/// One file with its layout, all of which was checked; what of it is virtual is not looked into.
struct OpenFile {
  Hdf5Handle file;
  ResultsLayout layout;
};

OpenFile open_checked(const std::string& path, bool with_names) {
  OpenFile open;
  open.file = open_hdf5(path, /*cache_chunks=*/false);
  const hid_t file = open.file.id();
  check_format(file, path);
  const hsize_t images = check_records(file, path);
  for (const auto& name : dataset_paths(file, path)) {
    const auto constant_name = schema::kOperatorArray.name_in(name);
    if (schema::is_record(name)) continue;
    if (constant_name) {
      const FlatDataset constant(file, name, path);
      open.layout.constants[*constant_name] = {{constant.shape().begin(), constant.shape().end()}, {}};
      continue;
    }
    open.layout.datasets.push_back(read_dataset_layout(FlatDataset(file, name, path), images, path));
  }
  open.layout.images = read_images(file, images, path, with_names);
  read_prompts(file, open.layout.images, path);
  open.layout.attributes = text_attributes(file, path);
  return open;
}

void require_fixed_places(const std::map<std::string, std::unique_ptr<FlatDataset>>& datasets,
                          const std::string& path) {
  for (const auto& [name, dataset] : datasets) {
    if (dataset->has_fixed_place()) continue;
    throw DataError(
        "{} of {} is stored in compressed or separate pieces, which cannot be written safely while ranks may "
        "be killed; go on with the file as this program wrote it",
        name, path);
  }
}

/// By one rank: shards that are not there, as they were when they were made.
void make_missing_shards(const std::string& path) {
  const auto results = ResultsFile::open_for_reading(path);
  const std::vector<ResultsShard> shards = results.shards();
  for (std::size_t k = 0; k < shards.size(); ++k) {
    if (!shards[k].missing) continue;
    std::error_code error;
    std::filesystem::create_directory(std::filesystem::path(shards[k].path).parent_path(), error);
    const ShardPlace place{shards[k].path, shards[k].first, shards[k].rows};
    create_file_of_rows(shards[k].path, layout_of_shard(results.layout(), place, k, shards.size()));
  }
}

/// Throws DataError where a shard cannot be gone on with.
void require_sound(const ResultsShard& shard, const std::string& path) {
  if (shard.problem.empty()) return;
  throw DataError(
      "{}, a shard of {}, {}. Put the right one back, or remove it: its {} images are then restored "
      "again",
      shard.path, path, shard.problem, shard.rows);
}

}  // namespace

std::unique_ptr<ResultsFile::Impl> ResultsFile::Impl::open_serially(const std::string& path, Names names) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  OpenFile open = open_checked(path, names == Names::read);
  impl->layout = std::move(open.layout);
  const auto images = static_cast<std::int64_t>(impl->layout.images.size());
  const std::vector<ShardPlace> places = read_shards(open.file.id(), path, impl->layout.images.size());
  impl->in_shards = !places.empty();
  if (places.empty()) {
    Part& whole = impl->parts.emplace_back();
    whole.shard = {path, 0, images, {}};
    whole.file = RowFile(std::move(open.file));
    whole.file.open_datasets(schema::kRecords, impl->layout.datasets, path);
    return impl;
  }
  impl->master = std::move(open.file);
  for (std::size_t k = 0; k < places.size(); ++k) {
    Part& part = impl->parts.emplace_back();
    part.shard = {path_of_shard(path, places[k]), places[k].first, places[k].rows, {}};
    try {
      const OpenFile shard = open_checked(part.shard.path, /*with_names=*/false);
      part.shard.problem =
          why_foreign(shard.layout, layout_of_shard(impl->layout, places[k], k, places.size()));
    } catch (const NotFoundError&) {
      part.shard.problem = "is missing";
      part.shard.missing = true;
    } catch (const Error& error) {
      part.shard.problem = formatted("cannot be read: {}", error.what());
    }
  }
  return impl;
}

ResultsFile ResultsFile::open_for_reading(const std::string& path) {
  return ResultsFile(Impl::open_serially(path, Impl::Names::read));
}

/// By one rank: what is there, checked, and nothing of it open.
std::unique_ptr<ResultsFile::Impl> ResultsFile::Impl::checked_for_writing(const std::string& path) {
  std::unique_ptr<Impl> impl = open_serially(path, Names::left_out);
  if (std::ranges::any_of(impl->parts, [](const Part& part) { return part.shard.missing; })) {
    impl.reset();
    make_missing_shards(path);
    impl = open_serially(path, Names::left_out);
  }
  for (Part& part : impl->parts) {
    require_sound(part.shard, path);
    require_fixed_places(impl->opened(part).datasets(), part.shard.path);
    part.file.close(part.shard.path);
  }
  impl->master.close(formatted("closing {}", path));
  return impl;
}

ResultsFile ResultsFile::open_for_writing(const std::string& path, const Communicator& comm,
                                          Durability durability) {
  Communicator group = comm.split(0, comm.rank());
  std::unique_ptr<Impl> impl = std::make_unique<Impl>();
  run_on_root(group, [&] { impl = Impl::checked_for_writing(path); });
  impl->path = path;
  impl->durability = durability;
  impl->share_structure(group);
  impl->group.emplace(std::move(group));
  if (impl->in_shards) return ResultsFile(std::move(impl));  // each is opened by those who write it
  Impl::Part& whole = impl->parts.front();
  throw_on_all(*impl->group, [&] { whole.sync_file = PosixFile::open_for_writing(path); });
  throw_on_all(*impl->group,
               [&] { whole.file = RowFile::open_for_writing(path, impl->group->handle().value); });
  throw_on_all(*impl->group,
               [&] { whole.file.open_datasets(schema::kRecords, impl->layout.datasets, path); });
  return ResultsFile(std::move(impl));
}

}  // namespace dwgf
