/// What is kept of an image's particles beside their mean and standard deviation (schema.hpp: quantiles,
/// diversity, CRPS, ranks, chi-squared, KSD), computed by all ranks of a group without any of them holding
/// all particles.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/state.hpp>

#include "input/job_input.hpp"
#include "job/image_problem.hpp"
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

class PosteriorProducts {
 public:
  /// Where the decoded particles of a rank take more, they are decoded again for every such piece of pixels.
  static constexpr std::int64_t kKeptBytes = std::int64_t{1} << 30;

  /// A micro-batch's particles as images [M, C, H, W].
  using Decode = std::function<at::Tensor(const ParticleBatch&)>;

  /// @param wanted  the layout of the results file: what it lacks is not computed
  /// @pre what is given outlives it. `kept` other than kKeptBytes only in tests.
  PosteriorProducts(const ResultsLayout& wanted, const ImageProblem& image, const FlowState& state,
                    Decode decode, std::int64_t kept = kKeptBytes);

  /// This rank's batch number `batch` of the state, as decoded.
  void add(std::size_t batch, const at::Tensor& x);

  /// Collective over `group`, after all batches of all ranks. By dataset; the same on every rank. @pre all
  /// particles are finite
  std::map<std::string, at::Tensor> finish(Collective& group);

 private:
  void keep(std::size_t batch, const at::Tensor& x);
  at::Tensor reduce(Collective& group);
  /// Of [scores, C H W].
  at::Tensor ranks(const at::Tensor& scores_of_pixels) const;
  at::Tensor chi_squared(Collective& group) const;

  const ResultsLayout& wanted_;
  const ImageProblem& image_;
  const FlowState& state_;
  Decode decode_;
  std::vector<double> probabilities_;  // of the quantiles that are wanted
  std::int64_t pixels_ = 0;
  std::int64_t piece_ = 0;       // pixels that are kept at a time
  std::int64_t first_ = 0;       // of the piece that is kept
  at::Tensor own_;               // float32 [slots, piece]
  std::vector<double> misfits_;  // |y - A(x)|^2 of this rank's slots
};

}  // namespace dwgf
