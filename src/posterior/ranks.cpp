#include "posterior/ranks.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "base/precondition.hpp"
#include "posterior/resampling.hpp"

namespace dwgf {

namespace {

constexpr std::int64_t kResamples = 499;
constexpr std::size_t kFewestImages = 8;

double on_scale(double value) {
  return std::clamp(value, -1.0, 1.0);
}

/// E (u - 1/2)^power, u even within a bin.
double moment(std::span<const double> shares, int power) {
  const auto bins = static_cast<double>(shares.size());
  double sum = 0.0;
  for (std::size_t b = 0; b < shares.size(); ++b) {
    const double middle = (static_cast<double>(b) + 0.5) / bins - 0.5;
    sum += shares[b] * (power == 1 ? middle : middle * middle + 1 / (12 * bins * bins));
  }
  return sum;
}

}  // namespace

RankSpan rank_of(std::span<const float> sorted, double truth) {
  precondition(!sorted.empty(), "a rank in an ensemble");
  const double y = on_scale(truth);
  const auto less = [](double a, double b) { return on_scale(a) < on_scale(b); };
  const auto first = std::lower_bound(sorted.begin(), sorted.end(), y, less),
             last = std::upper_bound(first, sorted.end(), y, less);
  const auto ranks = static_cast<double>(sorted.size() + 1);
  return {static_cast<double>(first - sorted.begin()) / ranks,
          static_cast<double>(last - sorted.begin() + 1) / ranks};
}

RankHistogram::RankHistogram(std::int64_t bins) : sums_(static_cast<std::size_t>(bins)) {
  precondition(bins >= 1, "a bin of ranks");
}

void RankHistogram::add(const RankSpan& rank) {
  precondition(rank.lower >= 0 && rank.lower < rank.upper && rank.upper <= 1, "a span of [0, 1]");
  const auto bins = static_cast<double>(sums_.size());
  const double lower = rank.lower * bins, upper = rank.upper * bins;
  for (auto b = static_cast<std::size_t>(lower); b < sums_.size() && static_cast<double>(b) < upper; ++b) {
    const auto bin = static_cast<double>(b);
    const double inside = std::min(upper, bin + 1) - std::max(lower, bin);
    sums_[b] += std::max(0.0, inside) / (upper - lower);
  }
  count_ += 1;
}

std::vector<double> RankHistogram::shares() const {
  std::vector<double> shares = sums_;
  if (count_ > 0)
    for (double& share : shares) share /= count_;
  return shares;
}

double rank_bias(std::span<const double> shares) {
  return 2 * moment(shares, 1);
}

double rank_dispersion(std::span<const double> shares) {
  return 12 * moment(shares, 2) - 1;
}

std::optional<double> evenness(const std::vector<std::vector<double>>& histograms) {
  if (histograms.size() < kFewestImages) return std::nullopt;
  const auto images = static_cast<std::int64_t>(histograms.size()),
             bins = static_cast<std::int64_t>(histograms.front().size());
  at::Tensor away = at::empty({images, bins}, at::kDouble);
  for (std::int64_t k = 0; k < images; ++k) {
    const std::vector<double>& shares = histograms[static_cast<std::size_t>(k)];
    precondition(static_cast<std::int64_t>(shares.size()) == bins, "histograms of the same bins");
    away[k].copy_(at::tensor(at::ArrayRef<double>(shares), at::kDouble) - 1.0 / static_cast<double>(bins));
  }
  const double found = away.sum(0).square().sum().item<double>();
  const at::Tensor signs = resampling_signs(images, kResamples, 0);
  const at::Tensor flipped = at::mm(signs.t(), away).square().sum(1);  // [resamples]
  const double as_large = flipped.ge(found * (1 - 1e-12)).sum().item<double>();
  return (1 + as_large) / (1 + static_cast<double>(kResamples));
}

}  // namespace dwgf
