#include "job/posterior_products.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "posterior/across_particles.hpp"
#include "posterior/calibration.hpp"
#include "posterior/ranks.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

/// The quantities of a pixel beside its quantiles.
enum Score : std::size_t { diversity, crps, rank_lower, rank_upper, scores };

at::Tensor scalar(double value) {
  return at::scalar_tensor(value, at::kDouble);
}

/// In the order of the values.
void add_to(double& sum, const at::Tensor& row) {
  const at::Tensor values = row.contiguous();
  for (std::int64_t k = 0; k < values.numel(); ++k) sum += values.data_ptr<double>()[k];
}

}  // namespace

std::string quantile_name(double probability) {
  char percent[32];
  std::snprintf(percent, sizeof percent, "%.8g", 100.0 * probability);
  return formatted("{}{}", probability < 0.1 ? "0" : "", percent);
}

std::optional<double> probability_of(const std::string& dataset) {
  const auto name = schema::kQuantile.name_in(dataset);
  const auto percent = name ? parse_double(*name) : std::nullopt;
  return percent ? std::optional(*percent / 100.0) : std::nullopt;
}

std::vector<DatasetLayout> posterior_datasets(const JobInput& job, const schema::Extents& extents,
                                              bool has_truth) {
  std::vector<DatasetLayout> datasets;
  for (const double p : job.store.quantiles)
    datasets.push_back(extents.layout(schema::kQuantile, quantile_name(p)));
  datasets.push_back(extents.layout(schema::kDiversity));
  if (has_truth) {
    datasets.push_back(extents.layout(schema::kCrps));
    datasets.push_back(extents.layout(schema::kRanks));
  }
  const bool gaussian = job.problem.has_gaussian_likelihood();
  if (gaussian) {
    datasets.push_back(extents.layout(schema::kChiSquared));
    datasets.push_back(extents.layout(schema::kAutoencoder));
  }
  if (job.store.ksd) {
    if (!gaussian)
      throw UsageError(
          "store.ksd = yes needs Gaussian noise with problem.sigma above 0, whose likelihood has a score");
    datasets.push_back(extents.layout(schema::kKsd));
    datasets.push_back(extents.layout(schema::kKsdP));
  }
  return datasets;
}

PosteriorProducts::PosteriorProducts(const ResultsLayout& wanted, const ImageProblem& image,
                                     const FlowState& state)
    : wanted_(wanted), image_(image), state_(state) {
  for (const DatasetLayout& dataset : wanted.datasets) {
    if (const auto p = probability_of(dataset.path)) probabilities_.push_back(*p);
  }
  if (image.truth.defined()) truth_ = image.truth.to(at::kCPU, at::kFloat).contiguous().flatten();
  if (const DatasetLayout* ranks = wanted.find(schema::kRanks.path))
    histogram_.emplace(ranks->row_shape.front());
  misfits_.resize(static_cast<std::size_t>(state.share.batches_per_rank * state.share.micro_batch));
}

bool PosteriorProducts::wants_pixels() const {
  return !probabilities_.empty() || wanted_.find(schema::kDiversity.path) || wanted_.find(schema::kCrps.path);
}

void PosteriorProducts::add(std::size_t batch, const at::Tensor& x) {
  if (!wanted_.find(schema::kChiSquared.path)) return;
  const at::Tensor y = image_.y.to(x.options()).unsqueeze(0);
  const at::Tensor squares =
      (image_.forward->apply(x.contiguous()) - y).flatten(1).to(at::kDouble).square().sum(1).cpu();  // [M]
  const auto slot = batch * static_cast<std::size_t>(state_.share.micro_batch);
  std::copy_n(squares.data_ptr<double>(), squares.numel(),
              misfits_.begin() + static_cast<std::ptrdiff_t>(slot));
}

void PosteriorProducts::begin(std::int64_t first, std::int64_t count) {
  first_ = first;
  if (wants_pixels()) own_ = at::zeros({static_cast<std::int64_t>(misfits_.size()), count}, at::kFloat);
}

void PosteriorProducts::keep(std::size_t batch, const at::Tensor& values) {
  if (!wants_pixels()) return;
  const std::int64_t micro_batch = state_.share.micro_batch;
  own_.narrow(0, static_cast<std::int64_t>(batch) * micro_batch, micro_batch).copy_(values);
}

at::Tensor PosteriorProducts::reduce(Collective& group) const {
  const std::size_t quantiles = probabilities_.size();
  const float* true_value = truth_.defined() ? truth_.data_ptr<float>() + first_ : nullptr;
  const auto reduction = [&](std::span<float> particles, std::int64_t pixel, std::span<double> out) {
    std::sort(particles.begin(), particles.end());
    for (std::size_t k = 0; k < quantiles; ++k) out[k] = ensemble_quantile(particles, probabilities_[k]);
    out[quantiles + diversity] = mean_pair_difference(particles);
    if (!true_value) return;
    const double truth_here = true_value[pixel];
    out[quantiles + crps] = ensemble_crps(particles, truth_here);
    const RankSpan rank = rank_of(particles, truth_here);
    out[quantiles + rank_lower] = rank.lower;
    out[quantiles + rank_upper] = rank.upper;
  };
  return reduce_across_particles(own_, state_.share, group, static_cast<std::int64_t>(quantiles + scores),
                                 reduction);
}

void PosteriorProducts::count_ranks(const at::Tensor& lower, const at::Tensor& upper) {
  const at::Tensor low = lower.contiguous(), high = upper.contiguous();
  for (std::int64_t k = 0; k < low.numel(); ++k)
    histogram_->add({low.data_ptr<double>()[k], high.data_ptr<double>()[k]});
}

std::map<std::string, at::Tensor> PosteriorProducts::slab(Collective& group) {
  std::map<std::string, at::Tensor> products;
  if (!wants_pixels()) return products;
  const auto quantiles = static_cast<std::int64_t>(probabilities_.size());
  const at::Tensor all = reduce(group);  // [quantiles + scores, count]
  for (std::int64_t k = 0; k < quantiles; ++k)
    products[schema::kQuantile.named(quantile_name(probabilities_[static_cast<std::size_t>(k)]))] = all[k];
  add_to(diversity_, all[quantiles + diversity]);
  if (wanted_.find(schema::kCrps.path)) add_to(crps_, all[quantiles + crps]);
  if (histogram_) count_ranks(all[quantiles + rank_lower], all[quantiles + rank_upper]);
  return products;
}

at::Tensor PosteriorProducts::chi_squared(Collective& group) const {
  std::vector<double> all(misfits_.size() * static_cast<std::size_t>(group.size()));
  group.all_gather(std::as_bytes(std::span(misfits_)), std::as_writable_bytes(std::span(all)));
  const std::int64_t n = state_.share.particles;
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) sum += all[static_cast<std::size_t>(i)];  // in particle order
  const double expected = static_cast<double>(image_.forward->observed_count()) * image_.sigma *
                          image_.sigma * static_cast<double>(n);
  return scalar(expected > 0 ? sum / expected : std::numeric_limits<double>::quiet_NaN());
}

std::map<std::string, at::Tensor> PosteriorProducts::finish(Collective& group) {
  const auto values = static_cast<double>(image_.shape.channels * image_.shape.height * image_.shape.width);
  std::map<std::string, at::Tensor> products;
  if (wanted_.find(schema::kDiversity.path)) products[schema::kDiversity.path] = scalar(diversity_ / values);
  if (wanted_.find(schema::kCrps.path)) products[schema::kCrps.path] = scalar(crps_ / values);
  if (histogram_) {
    const std::vector<double> shares = histogram_->shares();
    products[schema::kRanks.path] = at::tensor(at::ArrayRef<double>(shares), at::kDouble);
  }
  if (wanted_.find(schema::kChiSquared.path)) products[schema::kChiSquared.path] = chi_squared(group);
  return products;
}

}  // namespace dwgf
