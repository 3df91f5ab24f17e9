#include <algorithm>

#include <libdeflate.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>

#include "hdf5/hdf5_types.hpp"
#include "store/detail/results_impl.hpp"
#include "store/results.hpp"

namespace dwgf {
std::int64_t DatasetLayout::row_values() const {
  std::int64_t values = 1;
  for (const std::int64_t extent : row_shape) {
    if (extent < 1 || values > (std::int64_t{1} << 48) / extent) {
      throw InternalError("the rows of {} have an extent of {} or are larger than any disk", path, extent);
    }
    values *= extent;
  }
  return values;
}

std::size_t DatasetLayout::row_bytes() const {
  return static_cast<std::size_t>(row_values()) * size_of(type);
}

const DatasetLayout* RowLayout::find(const std::string& path) const {
  const auto found = std::find_if(datasets.begin(), datasets.end(),
                                  [&](const DatasetLayout& dataset) { return dataset.path == path; });
  return found == datasets.end() ? nullptr : &*found;
}

bool has_prompts(const RowLayout& layout) {
  return std::ranges::any_of(layout.images, [](const ImageEntry& image) { return !image.prompt.empty(); });
}

bool same_images(const RowLayout& a, const RowLayout& b) {
  return std::equal(a.images.begin(), a.images.end(), b.images.begin(), b.images.end(),
                    [](const ImageEntry& one, const ImageEntry& other) {
                      return one.id == other.id && one.height == other.height && one.width == other.width &&
                             one.prompt == other.prompt;
                    });
}

std::vector<DatasetLayout> checksummed_datasets(const RowLayout& layout) {
  std::vector<DatasetLayout> chosen;
  std::copy_if(layout.datasets.begin(), layout.datasets.end(), std::back_inserter(chosen),
               [](const DatasetLayout& dataset) { return schema::checksum_group(dataset.path).has_value(); });
  std::sort(chosen.begin(), chosen.end(), [](const DatasetLayout& a, const DatasetLayout& b) {
    return std::pair(schema::checksum_group(a.path), a.path) <
           std::pair(schema::checksum_group(b.path), b.path);
  });
  return chosen;
}

// zlib's checksum, some ten times faster than zlib's own.
std::uint32_t crc32_of(std::span<const std::byte> bytes) {
  return libdeflate_crc32(0, bytes.empty() ? nullptr : bytes.data(), bytes.size());
}

std::uint32_t crc32_combine(std::uint32_t first, std::uint32_t second, std::size_t second_bytes) {
  return static_cast<std::uint32_t>(::crc32_combine(first, second, static_cast<z_off_t>(second_bytes)));
}

namespace {

/// What regions of a row take beside its bytes: the last ones stick out, and each has an entry in an index.
std::uint64_t beyond_rows(const DatasetLayout& dataset) {
  std::vector<hsize_t> shape{1};
  for (const std::int64_t extent : dataset.row_shape) shape.push_back(static_cast<hsize_t>(extent));
  const std::vector<hsize_t> region = region_of(shape);
  if (region.empty()) return 0;
  std::uint64_t regions = 1, values = 1;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    const hsize_t along = (shape[d] + region[d] - 1) / region[d];
    regions *= along;
    values *= along * region[d];
  }
  return values * size_of(dataset.type) - dataset.row_bytes() + 64 * regions;
}

}  // namespace

std::uint64_t file_bytes(const ResultsLayout& layout) {
  std::uint64_t row = 0;
  for (const schema::Dataset* record : schema::kRecords) row += H5Tget_size(record_type(record->type).id());
  if (has_prompts(layout)) row += schema::kPromptBytes;
  for (const auto& dataset : layout.datasets) row += dataset.row_bytes();
  std::uint64_t text = 0;
  for (const auto& [name, value] : layout.attributes) text += name.size() + value.size();
  for (const auto& [name, array] : layout.constants) text += array.values.size() * sizeof(float) + 512;
  const std::uint64_t padding = layout.alignment * (layout.datasets.size() + 1) + (std::uint64_t{1} << 16);
  const std::uint64_t images = layout.images.size();
  const auto files = static_cast<std::uint64_t>(std::max<std::int64_t>(layout.shards, 1));
  // An index entry a piece; the last piece of a dataset may stick out.
  std::uint64_t pieces = 0;
  for (const auto& dataset : layout.datasets) {
    if (layout.chunk_bytes == 0) {
      pieces += images * beyond_rows(dataset);
      continue;
    }
    const std::uint64_t each = std::max<std::uint64_t>(layout.chunk_bytes, size_of(dataset.type));
    pieces += (images * dataset.row_bytes() / each + images) * 64 + 2 * files * each;
  }
  return row * images + text + padding * std::min(files, images) + pieces;
}

}  // namespace dwgf
