/// FID over the images of a results file (metric/inception.hpp, metric/frechet.hpp): each estimate's features
/// against those of the true images.
#pragma once

#include <string>

#include <dwgf/comm/collective.hpp>

#include "report/metrics.hpp"

namespace dwgf {

/// Collective over `world`: committed images are shared out over the ranks, and sums of features and of their
/// outer products are all-reduced as integers, so that the result does not depend on the number of ranks (nor
/// on threads: each computes with one). A score stands for the images that have a truth; it is nothing where
/// an estimate lacks one of these, or there are less than two. `particle` takes the first stored particle of
/// every image. `truth`: where it comes from, of the results for an empty one. The result is on rank 0.
/// Throws CollectiveError (throw_on_all.hpp).
Scores frechet_scores(Collective& world, const std::string& results_path, const std::string& truth,
                      const std::string& weights_path);

}  // namespace dwgf
