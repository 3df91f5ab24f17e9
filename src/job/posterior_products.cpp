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

/// In the order of the pixels.
double mean_of(const at::Tensor& row) {
  const at::Tensor values = row.contiguous();
  double sum = 0.0;
  for (std::int64_t k = 0; k < values.numel(); ++k) sum += values.data_ptr<double>()[k];
  return sum / static_cast<double>(values.numel());
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
                                     const FlowState& state, Decode decode, std::int64_t kept)
    : wanted_(wanted), image_(image), state_(state), decode_(std::move(decode)) {
  for (const DatasetLayout& dataset : wanted.datasets) {
    if (const auto p = probability_of(dataset.path)) probabilities_.push_back(*p);
  }
  pixels_ = image.shape.channels * image.shape.height * image.shape.width;
  const std::int64_t slots = state.share.batches_per_rank * state.share.micro_batch;
  const auto value = static_cast<std::int64_t>(sizeof(float));
  piece_ = std::clamp<std::int64_t>(kept / (slots * value), 1, pixels_);
  own_ = at::zeros({slots, piece_}, at::kFloat);
  misfits_.resize(static_cast<std::size_t>(slots));
}

void PosteriorProducts::keep(std::size_t batch, const at::Tensor& x) {
  const std::int64_t micro_batch = state_.share.micro_batch;
  const std::int64_t slot = static_cast<std::int64_t>(batch) * micro_batch;
  const std::int64_t end = std::min(first_ + piece_, pixels_);
  own_.slice(0, slot, slot + micro_batch)
      .slice(1, 0, end - first_)
      .copy_(x.flatten(1).slice(1, first_, end));  // [M, piece] of [M, C H W]
}

void PosteriorProducts::add(std::size_t batch, const at::Tensor& x) {
  keep(batch, x);
  if (!wanted_.find(schema::kChiSquared.path)) return;
  const at::Tensor y = image_.y.to(x.options()).unsqueeze(0);
  const at::Tensor squares =
      (image_.forward->apply(x.contiguous()) - y).flatten(1).to(at::kDouble).square().sum(1).cpu();  // [M]
  const auto slot = batch * static_cast<std::size_t>(state_.share.micro_batch);
  std::copy_n(squares.data_ptr<double>(), squares.numel(),
              misfits_.begin() + static_cast<std::ptrdiff_t>(slot));
}

at::Tensor PosteriorProducts::reduce(Collective& group) {
  const std::size_t quantiles = probabilities_.size();
  const at::Tensor truth =
      image_.truth.defined() ? image_.truth.to(at::kCPU, at::kFloat).contiguous() : at::Tensor();
  const float* true_value = truth.defined() ? truth.data_ptr<float>() : nullptr;
  const auto reduction = [&](std::span<float> particles, std::int64_t pixel, std::span<double> out) {
    std::sort(particles.begin(), particles.end());
    for (std::size_t k = 0; k < quantiles; ++k) out[k] = ensemble_quantile(particles, probabilities_[k]);
    out[quantiles + diversity] = mean_pair_difference(particles);
    if (!true_value) return;
    const double truth_here = true_value[first_ + pixel];
    out[quantiles + crps] = ensemble_crps(particles, truth_here);
    const RankSpan rank = rank_of(particles, truth_here);
    out[quantiles + rank_lower] = rank.lower;
    out[quantiles + rank_upper] = rank.upper;
  };

  at::Tensor all = at::empty({static_cast<std::int64_t>(quantiles + scores), pixels_}, at::kDouble);
  for (first_ = 0; first_ < pixels_; first_ += piece_) {
    if (first_ > 0)
      for (std::size_t b = 0; b < state_.batches.size(); ++b)
        if (state_.batches[b].counted > 0) keep(b, decode_(state_.batches[b]));
    const std::int64_t end = std::min(first_ + piece_, pixels_);
    all.slice(1, first_, end)
        .copy_(reduce_across_particles(own_.slice(1, 0, end - first_), state_.share, group, all.size(0),
                                       reduction));
  }
  return all;
}

at::Tensor PosteriorProducts::ranks(const at::Tensor& scores_of_pixels) const {
  const at::Tensor lower = scores_of_pixels[rank_lower].contiguous(),
                   upper = scores_of_pixels[rank_upper].contiguous();
  RankHistogram histogram(wanted_.find(schema::kRanks.path)->row_shape.front());
  for (std::int64_t k = 0; k < lower.numel(); ++k)
    histogram.add({lower.data_ptr<double>()[k], upper.data_ptr<double>()[k]});
  const std::vector<double> shares = histogram.shares();
  return at::tensor(at::ArrayRef<double>(shares), at::kDouble);
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
  const std::vector<std::int64_t> shape{image_.shape.channels, image_.shape.height, image_.shape.width};
  std::map<std::string, at::Tensor> products;
  const auto quantiles = static_cast<std::int64_t>(probabilities_.size());
  if (quantiles > 0 || wanted_.find(schema::kDiversity.path) || wanted_.find(schema::kCrps.path)) {
    const at::Tensor all = reduce(group);  // [quantiles + scores, C H W]
    for (std::int64_t k = 0; k < quantiles; ++k)
      products[schema::kQuantile.named(quantile_name(probabilities_[static_cast<std::size_t>(k)]))] =
          all[k].view(shape);
    if (wanted_.find(schema::kDiversity.path))
      products[schema::kDiversity.path] = scalar(mean_of(all[quantiles + diversity]));
    if (wanted_.find(schema::kCrps.path))
      products[schema::kCrps.path] = scalar(mean_of(all[quantiles + crps]));
    if (wanted_.find(schema::kRanks.path)) products[schema::kRanks.path] = ranks(all.slice(0, quantiles));
  }
  if (wanted_.find(schema::kChiSquared.path)) products[schema::kChiSquared.path] = chi_squared(group);
  return products;
}

}  // namespace dwgf
