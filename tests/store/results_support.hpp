/// Small results files and the values in them.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "store/results.hpp"

namespace dwgf {

inline ResultsLayout small_layout(std::size_t images = 4) {
  ResultsLayout layout;
  for (std::size_t k = 0; k < images; ++k) {
    layout.images.push_back({1000 + 7 * k, "folder/image \xC3\xA9 " + std::to_string(k) + ".png",
                             static_cast<std::uint32_t>(5 + k), 6});
  }
  layout.datasets = {{"/particles/z", NumberType::float16, {3, 2, 2, 2}},
                     {"/particles/x", NumberType::uint8, {3, 1, 5, 7}},
                     {"/posterior/std", NumberType::float32, {1, 5, 7}},
                     {"/posterior/mean", NumberType::float32, {1, 5, 7}},
                     {"/measurement/y", NumberType::float64, {11}},
                     {"/diagnostics/misfit", NumberType::float32, {9}},
                     {"/truth/x", NumberType::float32, {1, 5, 7}},
                     {"/timing/seconds", NumberType::float32, {}}};
  layout.attributes = {{"job", "[flow]\nsteps = 50\n; \xC3\xBC\n"}, {"version", "0.1"}, {"system", ""}};
  return layout;
}

/// Bytes that differ between datasets, rows and places.
inline std::vector<std::byte> row_bytes_of(const DatasetLayout& dataset, std::int64_t row) {
  std::vector<std::byte> bytes(dataset.row_bytes());
  std::uint64_t state = 77 + static_cast<std::uint64_t>(row) * 1000003;
  for (const char c : dataset.path) state = state * 31 + static_cast<unsigned char>(c);
  for (auto& byte : bytes) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

/// The checksum of what `row_bytes_of` gives for all datasets that it covers.
inline std::uint32_t expected_crc32(const ResultsLayout& layout, std::int64_t row) {
  std::vector<std::byte> all;
  for (const auto& dataset : checksummed_datasets(layout)) {
    const auto bytes = row_bytes_of(dataset, row);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return crc32_of(all);
}

}  // namespace dwgf
