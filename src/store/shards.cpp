#include "store/detail/shards.hpp"

#include <algorithm>
#include <filesystem>

#include <dwgf/base/error.hpp>

#include "base/replace_file.hpp"
#include "hdf5/hdf5_types.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

// In the names of sources HDF5 takes "%b" for a number of a block and "%%" for a percent sign.
std::string escaped(const std::string& name) {
  std::string text;
  for (const char c : name) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text;
}

std::string unescaped(const std::string& text) {
  std::string name;
  for (std::size_t k = 0; k < text.size(); ++k) {
    name += text[k];
    if (text.compare(k, 2, "%%") == 0) ++k;
  }
  return name;
}

std::string source_file(hid_t create_list, std::size_t index, const std::string& what) {
  const ssize_t length = checked(H5Pget_virtual_filename(create_list, index, nullptr, 0), what);
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  checked(H5Pget_virtual_filename(create_list, index, text.data(), text.size()), what);
  text.pop_back();
  return unescaped(text);
}

bool stays_below(const fs::path& relative) {
  return relative.is_relative() && !relative.empty() &&
         std::none_of(relative.begin(), relative.end(), [](const fs::path& part) { return part == ".."; });
}

}  // namespace

std::vector<ShardPlace> planned_shards(const std::string& path, const ResultsLayout& layout) {
  const auto images = static_cast<std::int64_t>(layout.images.size());
  const std::int64_t count = std::min(layout.shards, images);
  std::vector<ShardPlace> places;
  if (count < 2) return places;
  const std::string folder = fs::path(folder_of_shards(path)).filename();
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int64_t first = images / count * k + std::min(k, images % count);
    const std::int64_t rows = images / count + (k < images % count);
    places.push_back({formatted("{}/{}.h5", folder, k), first, rows});
  }
  return places;
}

std::string path_of_shard(const std::string& results_path, const ShardPlace& place) {
  return fs::path(results_path).parent_path() / place.file;
}

std::string folder_of_shards(const std::string& results_path) {
  return results_path + ".shards";
}

ResultsLayout layout_of_shard(const ResultsLayout& whole, const ShardPlace& place, std::size_t number,
                              std::size_t count) {
  ResultsLayout layout;
  const auto begin = whole.images.begin() + place.first;
  layout.images.assign(begin, begin + place.rows);
  layout.datasets = whole.datasets;
  layout.attributes = whole.attributes;
  layout.attributes["shard"] = formatted("{} of {}", number, count);
  layout.alignment = whole.alignment;
  layout.chunk_bytes = whole.chunk_bytes;
  return layout;
}

std::string why_foreign(const ResultsLayout& found, const ResultsLayout& wanted) {
  for (const char* name : {"shard", "job", "prior_sha256", "moments_sha256"}) {
    const auto theirs = found.attributes.find(name), ours = wanted.attributes.find(name);
    const bool has = theirs != found.attributes.end(), needs = ours != wanted.attributes.end();
    if (has != needs || (has && theirs->second != ours->second))
      return formatted("is of another results file: its attribute '{}' differs", name);
  }
  if (!same_images(found, wanted)) return "is of another results file: it has other images";
  if (found.datasets.size() != wanted.datasets.size()) return "has other datasets than the others";
  for (const DatasetLayout& dataset : wanted.datasets) {
    const DatasetLayout* same = found.find(dataset.path);
    if (!same || same->type != dataset.type || same->row_shape != dataset.row_shape)
      return formatted("has another {} than the others", dataset.path);
  }
  return {};
}

void map_onto_shards(hid_t create_list, const std::string& dataset, const std::vector<hsize_t>& shape,
                     const std::vector<ShardPlace>& places) {
  const std::string what = formatted("mapping {} onto shards", dataset);
  const auto whole =
      handle_of(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose, what);
  for (const ShardPlace& place : places) {
    std::vector<hsize_t> start(shape.size(), 0), count = shape;
    start[0] = static_cast<hsize_t>(place.first);
    count[0] = static_cast<hsize_t>(place.rows);
    const auto part =
        handle_of(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose, what);
    checked(H5Sselect_hyperslab(whole.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
            what);
    checked(H5Pset_virtual(create_list, whole.id(), escaped(place.file).c_str(), dataset.c_str(), part.id()),
            what);
  }
}

std::vector<ShardPlace> read_shards(hid_t file, const std::string& path, hsize_t images) {
  const std::string what = formatted("reading the shards of {}", path);
  const auto dataset = handle_of(H5Dopen2(file, schema::kImageState.path, H5P_DEFAULT), H5Dclose, what);
  const auto list = handle_of(H5Dget_create_plist(dataset.id()), H5Pclose, what);
  std::vector<ShardPlace> places;
  if (H5Pget_layout(list.id()) != H5D_VIRTUAL) return places;

  std::size_t count = 0;
  checked(H5Pget_virtual_count(list.id(), &count), what);
  std::int64_t next = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const auto space = handle_of(H5Pget_virtual_vspace(list.id(), k), H5Sclose, what);
    hsize_t first = 0, last = 0;
    const std::string name = source_file(list.id(), k, what);
    if (H5Sget_simple_extent_ndims(space.id()) != 1 || H5Sget_select_bounds(space.id(), &first, &last) < 0 ||
        first != static_cast<hsize_t>(next) || last < first || last >= images || !stays_below(name)) {
      throw DataError(
          "{} maps its rows onto '{}' as no results file does; it is damaged or was made by another program",
          path, name);
    }
    places.push_back({name, next, static_cast<std::int64_t>(last - first) + 1});
    next = static_cast<std::int64_t>(last) + 1;
  }
  if (next != static_cast<std::int64_t>(images))
    throw DataError("{} has {} images, but shards for {}; it is damaged", path, images, next);
  return places;
}

}  // namespace dwgf
