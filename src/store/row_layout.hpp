/// What fixes the structure of a file of rows, one an image: results, their shards, measurements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <dwgf/data/image.hpp>

#include "hdf5/number_type.hpp"

namespace dwgf {

/// An array of numbers, row-major.
struct FloatArray {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// One dataset /path of [images, ...row_shape].
struct DatasetLayout {
  std::string path;  ///< "/posterior/mean"
  NumberType type = NumberType::float32;
  std::vector<std::int64_t> row_shape;  ///< of one image's row; {} for a scalar a row

  std::int64_t row_values() const;
  std::size_t row_bytes() const;
};

struct RowLayout {
  std::vector<ImageEntry> images;
  std::vector<DatasetLayout> datasets;            ///< beside /image/*, which is always there
  std::map<std::string, std::string> attributes;  ///< of the root, text: job, version, ...
  /// Arrays that all images share, as /operator/NAME (the operator's mask, kernel, matrix): written when the
  /// file is created. Of an open results file the shapes only; `read_constant` gives the values.
  std::map<std::string, FloatArray> constants = {};

  const DatasetLayout* find(const std::string& path) const;
};

/// Whether any image has a prompt of its own.
bool has_prompts(const RowLayout& layout);
/// Whether both have the same images in the same order, by identity, size and prompt.
bool same_images(const RowLayout& a, const RowLayout& b);

}  // namespace dwgf
