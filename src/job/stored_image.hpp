/// A results file read back as images, with the cheap estimates that a restoration is compared with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

#include "input/settings.hpp"
#include "job/image_problem.hpp"
#include "operators/baselines/linear_mmse.hpp"
#include "store/results.hpp"

namespace dwgf {

/// Float32 images at their true size, [C, H, W]; undefined where there is none.
struct StoredImage {
  std::uint64_t id = 0;
  std::string name;
  at::Tensor truth;
  at::Tensor measurement;  ///< [...], cut to the operator's measurement shape
  at::Tensor mean;
  at::Tensor std;
  at::Tensor particles;                    ///< [N, C, H, W]
  at::Tensor baseline;                     ///< the operator's trivial inverse of the measurement
  at::Tensor linear_mmse;                  ///< for linear operators and priors that carry image statistics
  at::Tensor linear_mmse_std;              ///< of each pixel, by the same Gaussian
  std::map<double, at::Tensor> quantiles;  ///< by their probability
  std::optional<double> crps, diversity, chi_squared, ksd, ksd_p, autoencoder, seconds;  ///< schema.hpp
  std::vector<double> ranks;  ///< shares of pixels by the truth's rank; empty where not stored
  double sigma = 0.0;         ///< of the noise, given or estimated
  bool gaussian_noise = false;
  std::shared_ptr<const ForwardOperator> forward;
};

/// Which estimates beside the posterior are made. A linear MMSE estimate may take a second an image.
enum class Estimates { all, trivial };

class StoredImages {
 public:
  /// Throws NotFoundError, DataError.
  explicit StoredImages(const std::string& path);
  ~StoredImages();

  const ResultsFile& file() const { return file_; }
  std::int64_t count() const { return static_cast<std::int64_t>(file_.layout().images.size()); }
  const Settings& job() const { return job_; }
  const JobInput& input() const { return job_.as<JobInput>(); }
  /// Where `read` takes the truth of a row from now on, leaving out the numbers that go with the stored one.
  void take_truth(std::function<at::Tensor(std::int64_t row)> truth) { truth_ = std::move(truth); }

  /// The name of the baseline, empty where there is none.
  std::string baseline_name() const;

  /// The probabilities of the stored quantiles, ascending.
  std::vector<double> quantiles() const;

  StoredImage read(std::int64_t row, Estimates estimates = Estimates::all);

  /// The inverse problem of an image as the file carries it, what is unknown of it as it began. Throws
  /// DataError (not committed).
  ImageProblem problem(std::int64_t row) const;
  std::shared_ptr<const ForwardOperator> forward_for(std::int64_t row) const;
  /// The arrays of the operator that the file carries: names, and whether each image has its own.
  std::map<std::string, bool> carried_arrays() const;

 private:
  OperatorContext operator_context(std::int64_t row) const;
  std::shared_ptr<const ForwardOperator> build_forward(std::int64_t row) const;
  /// True where all images of one shape were measured alike.
  bool one_operator() const;
  /// What the image's flow made of an unknown. Throws DataError where it is not stored.
  std::vector<double> estimate(const std::string& name, std::int64_t row) const;
  /// Throws DataError where it was estimated and is not stored.
  double sigma(std::int64_t row) const;
  std::optional<double> scalar(const std::string& dataset, std::int64_t row) const;
  /// A row as it is stored, undefined where there is no such dataset; or its first corner of `shape`. Throws
  /// DataError where it is smaller.
  at::Tensor array(const std::string& dataset, std::int64_t row) const;
  at::Tensor array(const std::string& dataset, std::int64_t row, at::IntArrayRef shape) const;

  ResultsFile file_;
  Settings job_;
  std::optional<GaussianImages> statistics_;
  std::function<at::Tensor(std::int64_t)> truth_;  // in place of the stored one
  /// By height and width, where all images of one size share theirs.
  mutable std::map<std::pair<std::uint32_t, std::uint32_t>, std::shared_ptr<const ForwardOperator>> forwards_;
  std::optional<LinearMmse> linear_mmse_;  // kept while the operator stays the same
  std::string linear_mmse_key_;
};

}  // namespace dwgf
