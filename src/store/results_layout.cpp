#include <algorithm>

#include <libdeflate.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>

#include "hdf5/hdf5_types.hpp"
#include "store/detail/results_impl.hpp"
#include "store/results.hpp"

namespace dwgf {
namespace {

Hdf5Handle copy_of(hid_t type) {
  return handle_of(H5Tcopy(type), H5Tclose, "making an HDF5 type");
}

}  // namespace

std::int64_t DatasetLayout::row_values() const {
  std::int64_t values = 1;
  for (const std::int64_t extent : row_shape) {
    if (extent < 1 || values > (std::int64_t{1} << 48) / extent) {
      throw InternalError(
          concat("the rows of ", path, " have an extent of ", extent, " or are larger than any disk"));
    }
    values *= extent;
  }
  return values;
}

std::size_t DatasetLayout::row_bytes() const {
  return static_cast<std::size_t>(row_values()) * size_of(type);
}

const DatasetLayout* ResultsLayout::find(const std::string& path) const {
  const auto found = std::find_if(datasets.begin(), datasets.end(),
                                  [&](const DatasetLayout& dataset) { return dataset.path == path; });
  return found == datasets.end() ? nullptr : &*found;
}

std::vector<DatasetLayout> checksummed_datasets(const ResultsLayout& layout) {
  std::vector<DatasetLayout> chosen;
  for (const std::string group : {"/posterior/", "/particles/", "/measurement/", "/diagnostics/"}) {
    const auto first = chosen.size();
    std::copy_if(layout.datasets.begin(), layout.datasets.end(), std::back_inserter(chosen),
                 [&](const DatasetLayout& dataset) { return dataset.path.starts_with(group); });
    std::sort(chosen.begin() + static_cast<std::ptrdiff_t>(first), chosen.end(),
              [](const DatasetLayout& a, const DatasetLayout& b) { return a.path < b.path; });
  }
  return chosen;
}

// zlib's checksum, some ten times faster than zlib's own.
std::uint32_t crc32_of(std::span<const std::byte> bytes) {
  return libdeflate_crc32(0, bytes.empty() ? nullptr : bytes.data(), bytes.size());
}

std::uint32_t crc32_combine(std::uint32_t first, std::uint32_t second, std::size_t second_bytes) {
  return static_cast<std::uint32_t>(::crc32_combine(first, second, static_cast<z_off_t>(second_bytes)));
}

std::uint64_t file_bytes(const ResultsLayout& layout) {
  std::uint64_t row = 0;
  for (const auto& field : record_fields()) row += field.bytes;
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
    if (layout.chunk_bytes == 0) break;
    const std::uint64_t each = std::max<std::uint64_t>(layout.chunk_bytes, size_of(dataset.type));
    pieces += (images * dataset.row_bytes() / each + images) * 64 + 2 * files * each;
  }
  return row * images + text + padding * std::min(files, images) + pieces;
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

const std::vector<RecordField>& record_fields() {
  static const std::vector<RecordField> fields = {
      {"/image/id", 8, false, [] { return copy_of(H5T_STD_U64LE); }},
      {"/image/name", name_bytes, false, [] { return hdf5_text_type(name_bytes); }},
      {"/image/height", 4, false, [] { return copy_of(H5T_STD_U32LE); }},
      {"/image/width", 4, false, [] { return copy_of(H5T_STD_U32LE); }},
      {"/image/state", 1, true, [] { return copy_of(H5T_STD_U8LE); }},
      {"/image/crc32", 4, true, [] { return copy_of(H5T_STD_U32LE); }},
      {"/image/seconds", 4, true, [] { return copy_of(H5T_IEEE_F32LE); }},
      {"/image/reason", reason_bytes, true, [] { return hdf5_text_type(reason_bytes); }},
  };
  return fields;
}

}  // namespace dwgf
