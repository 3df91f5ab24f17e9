/// `dwgf evaluate`: how good the restored images are, with what costs nothing beside them, and whether their
/// spread can be trusted.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/collective.hpp>

#include "input/settings.hpp"
#include "job/stored_image.hpp"
#include "report/mean_over_images.hpp"
#include "report/metrics.hpp"

namespace dwgf {

/// One image's numbers; nothing where one does not apply (no truth, another shape, not stored).
struct ImageEvaluation {
  std::int64_t row = 0;
  std::uint64_t id = 0;
  std::string name;
  std::vector<Scores> quality;                     ///< in the order of the quality metrics
  std::vector<std::optional<Weighted>> posterior;  ///< in the order of the posterior metrics
  std::vector<double> ranks;                       ///< of ranks_of
};

/// N and the interval that is judged: of the stored quantiles the outermost two, the usual ones where there
/// are not as many.
PosteriorContext posterior_context(const StoredImages& stored);

/// The metrics of one results file, applied to its images.
class Evaluator {
 public:
  /// @param input  of `evaluate` or `report`. @pre `stored` outlives it. Throws what decoder_error throws.
  /// Logs what --decoder-error left out.
  Evaluator(const StoredImages& stored, const JudgeInput& input);

  const std::vector<QualityMetric>& quality() const { return quality_; }
  const std::vector<PosteriorMetric>& posterior() const { return posterior_; }
  const PosteriorContext& context() const { return context_; }

  ImageEvaluation evaluate(std::int64_t row, const StoredImage& image) const;

  /// Whether --decoder-error was measured on this very image, so that it says nothing of others.
  bool measured_error_on(const StoredImage& image) const;

 private:
  std::vector<QualityMetric> quality_;
  std::vector<PosteriorMetric> posterior_;
  PosteriorContext context_;
  std::set<std::uint64_t> error_contents_;
};

/// For a log, where --decoder-error was measured on `own` of the `all` images that are evaluated.
std::string own_error_words(std::int64_t own, std::int64_t all);

/// Means over the images that have a value: of the posterior's metrics weighted, coverage by its pixels.
class Summary {
 public:
  Summary(std::size_t quality, std::size_t posterior);
  void add(const ImageEvaluation& image);

  std::int64_t images() const { return images_; }
  const MeanOverImages& quality(std::size_t metric, std::size_t column) const;
  const MeanOverImages& posterior(std::size_t metric) const;
  /// By bin, of the images that have as many bins as the first of them; empty where there are none.
  std::vector<MeanOverImages> ranks() const;
  /// Of the same images: posterior/ranks.hpp.
  std::optional<double> evenness() const;

 private:
  std::int64_t images_ = 0;
  std::vector<std::vector<MeanOverImages>> quality_;
  std::vector<MeanOverImages> posterior_;
  std::vector<std::vector<double>> ranks_;
};

/// Collective over `world`, which shares out the images for FID; the rest is the first rank's.
ExitCode evaluate_command(Collective& world, const Settings& settings);

}  // namespace dwgf
