/// What is kept of an image's particles beside their mean and standard deviation, computed by all ranks of a
/// group without any of them holding all particles. Datasets of a results file:
///
///   /posterior/quantile_PP   float32 [n, C, H, W]
///       the quantiles of `store.quantiles`, PP in percent (calibration.hpp)
///   /posterior/diversity     float32 [n]            mean over pixels and pairs of particles of |x_i - x_j|
///   /posterior/crps          float32 [n]
///       mean over pixels of the ensemble's CRPS; where the truth is known
///   /posterior/chi_squared   float32 [n]
///       mean over particles of |y - A(x_i)|^2 / (m sigma^2); where noise is Gaussian.
///                                                   1 on average over images for exact posterior samples:
///                                                       the truth is another
///   /posterior/ksd           float32 [n]
///       kernel Stein discrepancy (flow/stein.hpp), where `store.ksd` asks for it
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/state.hpp>

#include "input/settings.hpp"
#include "job/image_problem.hpp"
#include "store/results.hpp"

namespace dwgf {

/// `store.quantiles` -> probabilities, ascending; none for `none`. Throws UsageError.
std::vector<double> quantile_probabilities(const std::string& quantiles);

/// "/posterior/quantile_05" for 0.05, "/posterior/quantile_02.5" for 0.025.
std::string quantile_dataset(double probability);

/// The inverse; nothing for another dataset.
std::optional<double> probability_of(const std::string& dataset);

/// The datasets above that a job of these settings has, for images of this shape, [C, H, W].
std::vector<DatasetLayout> posterior_datasets(const Settings& settings,
                                              const std::vector<std::int64_t>& image, bool has_truth);

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
  std::map<std::string, at::Tensor> finish(Communicator& group);

 private:
  void keep(std::size_t batch, const at::Tensor& x);
  at::Tensor reduce(Communicator& group);
  at::Tensor chi_squared(Communicator& group) const;

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
