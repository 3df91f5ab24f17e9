#include "results_bits.hpp"

#include <span>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "store/results.hpp"

namespace dwgf::test {

namespace fs = std::filesystem;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

ResultsBits bits_of(const fs::path& path) {
  const auto results = ResultsFile::open_for_reading(path);
  ResultsBits bits;
  for (std::size_t k = 0; k < results.layout().images.size(); ++k) {
    const auto row = static_cast<std::int64_t>(k);
    const ImageEntry& image = results.layout().images[k];
    ImageBits& own = bits[image.id];
    EXPECT_TRUE(own.empty()) << "two images of " << path << " have the same identity";
    for (const DatasetLayout& dataset : results.layout().datasets) {
      if (!dataset.path.starts_with("/timing/")) own[dataset.path] = results.read(dataset.path, row);
    }
    own["/image"] =
        bytes_of(formatted("{} {} x {}, state {}, crc {}, '{}'", image.name, image.height, image.width,
                           int(results.state(row)), results.stored_crc32(row), results.reason(row)));
    EXPECT_EQ(results.stored_crc32(row), results.compute_crc32(row)) << path << ", image " << k;
  }
  return bits;
}

ResultsBits bits_of_all(const std::vector<fs::path>& paths) {
  ResultsBits all;
  for (const fs::path& path : paths) {
    for (auto& [id, bits] : bits_of(path))
      EXPECT_TRUE(all.insert({id, bits}).second) << "image " << id << " is in two files";
  }
  return all;
}

std::string difference(const ResultsBits& found, const ResultsBits& expected) {
  for (const auto& [id, bits] : expected) {
    const auto image = found.find(id);
    if (image == found.end()) return formatted("image {} is missing", id);
    for (const auto& [path, bytes] : bits) {
      const auto dataset = image->second.find(path);
      if (dataset == image->second.end()) return formatted("image {} has no {}", id, path);
      if (dataset->second == bytes) continue;
      std::size_t at = 0;
      while (at < std::min(bytes.size(), dataset->second.size()) && bytes[at] == dataset->second[at]) ++at;
      return formatted("image {}: {} differs from byte {} of {} on", id, path, at, bytes.size());
    }
    if (image->second.size() != bits.size()) return formatted("image {} has more datasets than expected", id);
  }
  return found.size() == expected.size() ? "" : "there are more images than expected";
}

std::int64_t committed(const fs::path& path) {
  if (!fs::exists(path)) return -1;
  std::int64_t count = 0;
  for (const ImageState state : ResultsFile::open_for_reading(path).states())
    count += state == ImageState::committed;
  return count;
}

std::vector<std::uint64_t> intact(const fs::path& path) {
  std::vector<std::uint64_t> ids;
  if (!fs::exists(path)) return ids;  // killed before the file had its name
  const auto results = ResultsFile::open_for_reading(path);
  for (std::size_t k = 0; k < results.layout().images.size(); ++k) {
    const auto row = static_cast<std::int64_t>(k);
    if (results.state(row) != ImageState::committed) continue;
    if (results.compute_crc32(row) == results.stored_crc32(row)) {
      ids.push_back(results.layout().images[k].id);
    } else {
      ADD_FAILURE() << "image " << k << " of " << path << " is committed, but not what its checksum says";
    }
  }
  return ids;
}

}  // namespace dwgf::test
