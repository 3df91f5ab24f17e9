/// What `evaluate` and `report` measure: one row a metric, one function a row. A row whose function is empty,
/// or gives nothing, is reported as not computed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "job/stored_image.hpp"
#include "posterior/calibration.hpp"

namespace dwgf {

/// The estimates of an image that are compared: columns of JSON and CSV, rows of tables.
struct Scores {
  std::optional<double> measurement, baseline, linear_mmse, mean, particle;

  struct Column {
    const char* name;   ///< in JSON and CSV
    const char* title;  ///< in tables; the baseline has a name of its own
    std::optional<double> Scores::*field;
  };
  static const std::vector<Column>& columns();
};

/// How close an estimate [C, H, W] is to the truth. `particle` is the mean over the stored particles of one's
/// score.
struct QualityMetric {
  std::string name;   ///< in JSON and CSV: "psnr"
  std::string title;  ///< in tables, with its unit
  int digits = 2;
  bool larger_is_better = true;
  std::function<double(const at::Tensor& x, const at::Tensor& truth)> of;
};

/// A number of one image with its weight in the mean over images.
struct Weighted {
  double value = 0.0;
  double weight = 1.0;
};

/// What a metric of the posterior may look at.
struct PosteriorContext {
  std::int64_t particles = 1;  ///< N
  double lower = 0.05;         ///< probabilities of the interval's quantiles
  double upper = 0.95;
  double decoder_error = 0.0;                      ///< added to the predictive spread; 0: none
  std::optional<double> other_decoder_error = {};  ///< of an autoencoder that was not used at the end
  double level() const { return upper - lower; }
};

/// What the ensemble as a whole is worth.
struct PosteriorMetric {
  std::string name;     ///< in JSON and CSV
  std::string title;    ///< in tables, with its unit
  std::string meaning;  ///< one sentence
  int digits = 3;
  std::function<std::optional<Weighted>(const StoredImage&, const PosteriorContext&)> of;
};

std::vector<QualityMetric> quality_metrics(const std::string& lpips);
std::vector<PosteriorMetric> posterior_metrics();

/// Shares of pixels by the truth's rank among the particles (posterior/ranks.hpp): as stored, else from
/// stored particles; empty for one particle, or where neither they nor the truth are there.
std::vector<double> ranks_of(const StoredImage& image, const PosteriorContext& context);

/// The interval of every pixel, [2, C, H, W] float64: from the stored quantiles or particles, widened for the
/// decoder's error; undefined where neither is stored.
at::Tensor credible_intervals(const StoredImage& image, const PosteriorContext& context);

/// Inner pixels and how many of them lie in the central interval of `level`, from the stored particles,
/// widened likewise.
/// @pre image.truth and image.particles are defined
Coverage coverage_of_particles(const StoredImage& image, double level, double decoder_error);

}  // namespace dwgf
