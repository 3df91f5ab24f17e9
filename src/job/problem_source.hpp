/// Where the inverse problems of a job come from: clean images that are measured on the fly, a measurements
/// file, or, for a rerun, a results file. Either way an image's y, operator, noise level and, where known,
/// truth.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/operators/operator.hpp>

#include "data/images.hpp"
#include "input/settings.hpp"
#include "job/image_problem.hpp"
#include "job/stored_image.hpp"
#include "operators/operator_arrays.hpp"
#include "store/measurements.hpp"

namespace dwgf {

class ProblemSource {
 public:
  /// Lists the images of the slice and reads what the measurements file says of operator and noise into
  /// `settings`, so that they record what was done. Throws UsageError (also where options contradict the
  /// file), NotFoundError, DataError.
  /// Collective over `ranks`, which share the listing of a folder.
  ProblemSource(Settings& settings, Communicator& ranks);

  const std::vector<ImageEntry>& images() const { return images_; }
  std::int64_t ignored() const { return source_ ? source_->ignored() : 0; }
  bool has_truth() const;
  /// Of a measurements file's images; nothing for clean images, which take on what is asked for.
  std::optional<std::int64_t> channels() const;
  bool estimates_sigma() const { return estimate_; }

  /// The operator for image k of the slice. Throws UsageError, DataError, NotFoundError.
  std::shared_ptr<const ForwardOperator> forward(std::int64_t k, std::int64_t channels) const;

  /// Image k of the slice with `channels` channels. Throws DataError, and what `forward` throws.
  ImageProblem read(std::int64_t k, std::int64_t channels) const;

  /// The arrays of the operator, in the order of its spec, and whether each image has its own.
  struct CarriedArray {
    ArrayUse use;
    bool per_image = false;
  };
  std::vector<CarriedArray> arrays() const;

 private:
  struct Built {
    std::shared_ptr<const ForwardOperator> forward;
    std::map<std::string, at::Tensor> arrays;
  };
  Built build(std::int64_t k, std::int64_t channels) const;
  at::Tensor load(const std::string& kind, const std::string& reference, std::int64_t row) const;
  void take_from_measurements(Settings& settings);

  std::string spec_, noise_;
  double sigma_ = 0;
  bool estimate_ = false;
  std::uint64_t seed_ = 0;
  std::int64_t first_ = 0;
  std::unique_ptr<ImageSource> source_;
  std::optional<MeasurementsFile> measurements_;
  std::optional<StoredImages> results_;
  std::vector<ImageEntry> images_;
  bool shared_ = true;  ///< one operator for all images of a shape
  mutable std::map<std::vector<std::int64_t>, Built> built_;
};

}  // namespace dwgf
