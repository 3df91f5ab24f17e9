/// The inverse problems of a job: an image's y, operator, noise level and, where known, truth. They come from
/// clean images that are measured on the fly, from pictures that are measurements, from a measurements file,
/// or, for a rerun, from a results file.
#pragma once

#include <functional>
#include <map>
#include <memory>
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
#include "store/value_units.hpp"

namespace dwgf {

/// An array of the operator, and whether each image has its own.
struct CarriedArray {
  ArrayUse use;
  bool per_image = false;
};

class Problems {
 public:
  virtual ~Problems() = default;

  /// Those of the slice; k counts them.
  const std::vector<ImageEntry>& images() const { return images_; }
  virtual bool has_truth() const = 0;
  /// Of the images; nothing where they take on what is asked for.
  virtual std::optional<std::int64_t> channels() const = 0;
  /// What values on [-1, 1] are in the units of the data; nothing where that is not known, or the same.
  virtual std::optional<ValueUnits> units() const { return std::nullopt; }
  /// What was left out of the data, and what looks as if it were meant otherwise in some images of the slice,
  /// a sentence each. Reads these.
  virtual std::vector<std::string> warnings() const { return {}; }
  /// The arrays of the operator, in the order of its spec.
  virtual std::vector<CarriedArray> arrays() const = 0;
  /// Whether the images are clean, and measured when they are read.
  virtual bool measures_when_read() const { return false; }

  /// The operator for image k of the slice. Throws UsageError, DataError, NotFoundError.
  virtual std::shared_ptr<const ForwardOperator> forward(std::int64_t k, std::int64_t channels) const = 0;

  /// Image k of the slice with `channels` channels. Throws DataError, and what `forward` throws.
  virtual ImageProblem read(std::int64_t k, std::int64_t channels) const = 0;

 protected:
  /// Throws UsageError for a slice behind the end: `key` is what gave `first`.
  void take_slice(const std::vector<ImageEntry>& all, const char* key, std::int64_t first, std::int64_t count,
                  const std::string& data);
  std::int64_t row(std::int64_t k) const { return first_ + k; }
  const ImageEntry& image(std::int64_t k) const { return images_[static_cast<std::size_t>(k)]; }

 private:
  std::vector<ImageEntry> images_;
  std::int64_t first_ = 0;
};

/// The operators that a spec describes: one for all images of a shape, unless it has arrays of each image.
class SpecifiedOperators {
 public:
  struct Built {
    std::shared_ptr<const ForwardOperator> forward;
    std::map<std::string, at::Tensor> arrays;
    std::shared_ptr<const OpenBlur> open;
  };
  /// The array that `@` names; and whether each image has its own.
  using Load =
      std::function<at::Tensor(const std::string& kind, const std::string& reference, std::int64_t row)>;
  using PerImage = std::function<bool(const ArrayUse&)>;

  SpecifiedOperators(ProblemInput problem, std::uint64_t seed, Load load, const PerImage& per_image);

  const ProblemInput& problem() const { return problem_; }
  std::uint64_t seed() const { return seed_; }
  const std::vector<CarriedArray>& arrays() const { return arrays_; }
  Built build(const ImageEntry& image, std::int64_t row, std::int64_t channels) const;
  /// The image's problem before its measurement is known: shape, operator and the operator's arrays.
  ImageProblem unmeasured(const ImageEntry& image, std::int64_t row, std::int64_t channels) const;

 private:
  ProblemInput problem_;
  std::uint64_t seed_;
  Load load_;
  std::vector<CarriedArray> arrays_;
  bool shared_ = true;
  mutable std::map<std::vector<std::int64_t>, Built> built_;
};

/// The units of pictures and arrays, as input.range or their type says.
std::optional<ValueUnits> data_units(const ImagesInput& asked, const ImageSource& source);

class CleanImages final : public Problems {
 public:
  /// Collective over `ranks`, which share the listing of a folder. Throws UsageError, NotFoundError,
  /// DataError.
  CleanImages(const ImagesInput& images, const ProblemInput& problem, std::uint64_t seed,
              Communicator& ranks);

  bool has_truth() const override { return true; }
  bool measures_when_read() const override { return true; }
  std::optional<std::int64_t> channels() const override { return std::nullopt; }
  std::optional<ValueUnits> units() const override { return data_units(asked_, *source_); }
  std::vector<std::string> warnings() const override;
  std::vector<CarriedArray> arrays() const override { return operators_.arrays(); }
  std::shared_ptr<const ForwardOperator> forward(std::int64_t k, std::int64_t channels) const override;
  ImageProblem read(std::int64_t k, std::int64_t channels) const override;

 private:
  ImagesInput asked_;
  std::unique_ptr<ImageSource> source_;
  SpecifiedOperators operators_;
};

/// Pictures and arrays that are measurements (input.kind = measured).
class MeasuredPictures final : public Problems {
 public:
  /// As CleanImages. Throws UsageError too where operator or sigma are not given, or what the operator
  /// measures is no picture.
  MeasuredPictures(const Settings& job, Communicator& ranks);

  bool has_truth() const override { return false; }
  std::optional<std::int64_t> channels() const override { return std::nullopt; }
  std::optional<ValueUnits> units() const override { return data_units(asked_, *source_); }
  std::vector<std::string> warnings() const override;
  std::vector<CarriedArray> arrays() const override { return operators_.arrays(); }
  std::shared_ptr<const ForwardOperator> forward(std::int64_t k, std::int64_t channels) const override;
  ImageProblem read(std::int64_t k, std::int64_t channels) const override;

 private:
  ImagesInput asked_;
  std::unique_ptr<ImageSource> source_;
  SpecifiedOperators operators_;
};

class MeasuredImages final : public Problems {
 public:
  /// Reads what the file says of operator and noise into `job`, so that it records what was done. Throws
  /// UsageError (also where options contradict the file), DataError.
  explicit MeasuredImages(Settings& job);

  bool has_truth() const override { return file_.has_truth(); }
  std::optional<std::int64_t> channels() const override { return file_.channels(); }
  std::optional<ValueUnits> units() const override;
  std::vector<std::string> warnings() const override;
  std::vector<CarriedArray> arrays() const override { return operators_.arrays(); }
  std::shared_ptr<const ForwardOperator> forward(std::int64_t k, std::int64_t channels) const override;
  ImageProblem read(std::int64_t k, std::int64_t channels) const override;

 private:
  bool looks_positive() const;
  at::Tensor measurement(std::int64_t k, const ForwardOperator& forward, const ImageShape& shape) const;
  at::Tensor truth(std::int64_t k, const ImageShape& shape) const;

  MeasurementsFile file_;
  std::optional<ValueRange> range_;  ///< of y, where it is not on [-1, 1]
  bool file_sigma_ = false;
  SpecifiedOperators operators_;
};

class StoredProblems final : public Problems {
 public:
  /// Throws NotFoundError, DataError, UsageError. @param image  only this one
  StoredProblems(const std::string& results, std::optional<std::int64_t> image);

  bool has_truth() const override;
  std::optional<std::int64_t> channels() const override;
  std::optional<ValueUnits> units() const override;
  std::vector<CarriedArray> arrays() const override;
  std::shared_ptr<const ForwardOperator> forward(std::int64_t k, std::int64_t channels) const override;
  ImageProblem read(std::int64_t k, std::int64_t channels) const override;

 private:
  StoredImages results_;
};

/// Those that the job names: input.data, or the results file of a rerun. Collective over `ranks`. Throws what
/// the three throw.
std::unique_ptr<Problems> open_problems(Settings& job, Communicator& ranks);

}  // namespace dwgf
