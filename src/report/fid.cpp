#include "report/fid.hpp"

#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "comm/throw_on_all.hpp"
#include "job/stored_image.hpp"
#include "metric/frechet.hpp"
#include "metric/inception.hpp"
#include "report/metric_network.hpp"
#include "report/truth_images.hpp"

namespace dwgf {

namespace {

/// What is compared with the truth, in the order of Scores::columns().
std::vector<at::Tensor> estimates(const StoredImage& image) {
  return {image.measurement, image.baseline, image.linear_mmse, image.mean,
          image.particles.defined() ? image.particles[0] : at::Tensor()};
}

}  // namespace

Scores frechet_scores(Collective& world, const std::string& results_path, const std::string& truth,
                      const std::string& weights_path) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  FeatureSums reference_sums(Inception::kFeatures);
  std::vector<FeatureSums> of;
  for (std::size_t c = 0; c < Scores::columns().size(); ++c) of.emplace_back(Inception::kFeatures);
  throw_on_all<CollectiveError>(world, [&] {
    const auto inception = load_metric_network<Inception>("fid", weights_path);
    StoredImages stored(results_path);
    take_truth(stored, truth);
    for (std::int64_t row = world.rank(); row < stored.count(); row += world.size()) {
      if (stored.file().state(row) != ImageState::committed) continue;
      const StoredImage image = stored.read(row);
      if (!image.truth.defined()) continue;
      reference_sums.add((*inception)(image.truth.unsqueeze(0)));
      const std::vector<at::Tensor> own = estimates(image);
      for (std::size_t c = 0; c < own.size(); ++c) {
        if (own[c].defined() && own[c].sizes() == image.truth.sizes())
          of[c].add((*inception)(own[c].unsqueeze(0)));
      }
    }
  });
  world.all_reduce_sum(reference_sums.values());
  for (FeatureSums& sums : of) world.all_reduce_sum(sums.values());
  at::set_num_threads(threads);

  Scores scores;
  if (world.rank() != 0) return scores;
  const FrechetReference reference(reference_sums);
  for (std::size_t c = 0; c < of.size(); ++c) {
    if (of[c].count() != reference_sums.count()) continue;
    const double distance = reference.distance(of[c]);
    if (!std::isnan(distance)) scores.*Scores::columns()[c].field = distance;
  }
  return scores;
}

}  // namespace dwgf
