/// `dwgf evaluate`: how good the restored images are, with what costs nothing beside them, and whether their
/// spread can be trusted.
#pragma once

#include <optional>
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
};

/// N and the interval that is judged: of the stored quantiles the outermost two, the usual ones where there
/// are not as many.
PosteriorContext posterior_context(const StoredImages& stored);

/// The metrics of one results file, applied to its images.
class Evaluator {
 public:
  /// @param input  of `evaluate` or `report`. @pre `stored` outlives it. Throws what
  /// decoder_error throws.
  Evaluator(const StoredImages& stored, const JudgeInput& input);

  const std::vector<QualityMetric>& quality() const { return quality_; }
  const std::vector<PosteriorMetric>& posterior() const { return posterior_; }
  const PosteriorContext& context() const { return context_; }

  ImageEvaluation evaluate(std::int64_t row, const StoredImage& image) const;

 private:
  std::vector<QualityMetric> quality_;
  std::vector<PosteriorMetric> posterior_;
  PosteriorContext context_;
};

/// Means over the images that have a value: of the posterior's metrics weighted, coverage by its pixels.
class Summary {
 public:
  Summary(std::size_t quality, std::size_t posterior);
  void add(const ImageEvaluation& image);

  std::int64_t images() const { return images_; }
  const MeanOverImages& quality(std::size_t metric, std::size_t column) const;
  const MeanOverImages& posterior(std::size_t metric) const;

 private:
  std::int64_t images_ = 0;
  std::vector<std::vector<MeanOverImages>> quality_;
  std::vector<MeanOverImages> posterior_;
};

/// Collective over `world`, which shares out the images for FID; the rest is the first rank's.
ExitCode evaluate_command(Collective& world, const Settings& settings);

}  // namespace dwgf
