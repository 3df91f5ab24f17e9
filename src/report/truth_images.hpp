/// The clean images that belong to a results file's, where they come from elsewhere (`--truth`).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/data/image.hpp>

#include "job/stored_image.hpp"

namespace dwgf {

/// Which of `given` belongs to each of `wanted`: the one of the same identity (a folder's relative path, an
/// array's row), or else of the same name without its ending, where each of `wanted` has one; otherwise in
/// order where there are as many of both. Throws DataError, whose text begins with `what`, where neither
/// fits.
std::vector<std::int64_t> matched(const std::vector<ImageEntry>& wanted, const std::vector<ImageEntry>& given,
                                  const std::string& what);

class TruthImages {
 public:
  /// @param data      as input.data takes it, or a measurements file with a truth
  /// @param wanted    the images of the results, in their order
  /// @param channels  of the results
  /// Throws NotFoundError, DataError (nothing matches, or an image is of another size).
  TruthImages(const std::string& data, const std::vector<ImageEntry>& wanted, std::int64_t channels);
  ~TruthImages();

  /// The truth of image `row` of the results, float32 [C, H, W]. Throws DataError.
  at::Tensor read(std::int64_t row) const;

 private:
  struct Source;
  std::unique_ptr<const Source> source_;
  std::vector<std::int64_t> place_;  // by row
};

/// Compares `stored` with these images from now on; with its own for an empty `data`. Throws what TruthImages
/// throws.
void take_truth(StoredImages& stored, const std::string& data);

}  // namespace dwgf
