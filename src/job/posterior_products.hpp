/// What is kept of an image's particles beside their mean and standard deviation (schema.hpp: quantiles,
/// diversity, CRPS, ranks, chi-squared, KSD), computed by all ranks of a group without any of them holding
/// all particles.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/state.hpp>

#include "input/job_input.hpp"
#include "job/image_problem.hpp"
#include "posterior/ranks.hpp"
#include "store/results.hpp"
#include "store/schema.hpp"

namespace dwgf {

/// Returns the name among the quantiles: "05" for 0.05, "02.5" for 0.025.
std::string quantile_name(double probability);

/// Returns the probability of a dataset of quantiles; nothing for another dataset.
std::optional<double> probability_of(const std::string& dataset);

/// Returns the datasets that a job has of them. Throws UsageError.
std::vector<DatasetLayout> posterior_datasets(const JobInput& job, const schema::Extents& extents,
                                              bool has_truth);

/// In slabs, consecutive values of the images [C, H, W], so that memory does not grow with them.
class PosteriorProducts {
 public:
  /// @param wanted  the layout of the results file: what it lacks is not computed
  /// @pre what is given outlives it
  PosteriorProducts(const ResultsLayout& wanted, const ImageProblem& image, const FlowState& state);

  /// This rank's batch number `batch` of the state, decoded, [M, C, H, W].
  void add(std::size_t batch, const at::Tensor& x);

  /// Values [first, first + count) are next. Slabs follow each other.
  void begin(std::int64_t first, std::int64_t count);
  /// Of this rank's batch number `batch`, [M, count].
  void keep(std::size_t batch, const at::Tensor& values);
  /// Collective over `group`, after all batches of all ranks: the slab's quantiles by dataset, float64
  /// [count], the same on every rank. @pre all its values are finite
  std::map<std::string, at::Tensor> slab(Collective& group);

  /// Collective over `group`, after the last slab: numbers of the whole image, by dataset.
  std::map<std::string, at::Tensor> finish(Collective& group);

 private:
  at::Tensor reduce(Collective& group) const;
  void count_ranks(const at::Tensor& lower, const at::Tensor& upper);
  at::Tensor chi_squared(Collective& group) const;
  bool wants_pixels() const;

  const ResultsLayout& wanted_;
  const ImageProblem& image_;
  const FlowState& state_;
  std::vector<double> probabilities_;    // of the quantiles that are wanted
  at::Tensor truth_;                     // float32 [C H W], on the host
  std::int64_t first_ = 0;               // of the slab
  at::Tensor own_;                       // float32 [slots, count]
  std::vector<double> misfits_;          // |y - A(x)|^2 of this rank's slots
  double diversity_ = 0.0, crps_ = 0.0;  // sums in the order of the values
  std::optional<RankHistogram> histogram_;
};

}  // namespace dwgf
