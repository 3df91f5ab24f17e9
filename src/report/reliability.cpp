#include "report/reliability.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

namespace {

/// One image's part of a class.
struct Sums {
  double pixels = 0.0, squared_deviation = 0.0, squared_error = 0.0, inside = 0.0;
};

at::Tensor doubles(const at::Tensor& values) {
  return values.to(at::kDouble).flatten().contiguous();
}

}  // namespace

Reliability::Reliability(const PosteriorContext& context) : context_(context) {
  for (std::size_t k = 0; k < kEdges.size(); ++k) {
    classes_[k].lower = kEdges[k];
    if (k + 1 < kEdges.size()) classes_[k].upper = kEdges[k + 1];
  }
}

void Reliability::add(const StoredImage& image) {
  if (!image.truth.defined() || !image.std.defined() || context_.particles < 2) return;
  const at::Tensor intervals = credible_intervals(image, context_);  // [2, C, H, W]
  const at::Tensor mean = doubles(image.mean), std = doubles(image.std), truth = doubles(image.truth);
  const at::Tensor bounds = intervals.defined() ? intervals.clamp(-1, 1).contiguous() : at::Tensor();
  const std::int64_t pixels = mean.numel();
  const double *m = mean.const_data_ptr<double>(), *s = std.const_data_ptr<double>(),
               *x = truth.const_data_ptr<double>();
  const double* bound = bounds.defined() ? bounds.const_data_ptr<double>() : nullptr;

  std::array<Sums, kEdges.size()> sums;
  for (std::int64_t k = 0; k < pixels; ++k) {
    if (std::abs(x[k]) >= Coverage::kClippedFrom) continue;
    const double deviation = std::hypot(s[k], context_.decoder_error);
    if (!std::isfinite(deviation) || !std::isfinite(m[k])) continue;
    const auto above = std::upper_bound(kEdges.begin(), kEdges.end(), deviation);
    Sums& own = sums[static_cast<std::size_t>(above - kEdges.begin()) - 1];
    own.pixels += 1;
    own.squared_deviation += deviation * deviation;
    own.squared_error += (m[k] - x[k]) * (m[k] - x[k]);
    if (bound) own.inside += bound[k] <= x[k] && x[k] <= bound[pixels + k];
  }
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const Sums& own = sums[k];
    if (own.pixels == 0) continue;
    ReliabilityClass& all = classes_[k];
    all.pixels += static_cast<std::int64_t>(own.pixels);
    all.squared_deviation.add(own.squared_deviation / own.pixels, own.pixels);
    all.squared_error.add(own.squared_error / own.pixels, own.pixels);
    if (bound) all.inside.add(own.inside / own.pixels, own.pixels);
  }
}

std::vector<ReliabilityClass> Reliability::take() const {
  std::vector<ReliabilityClass> held;
  for (const ReliabilityClass& one : classes_)
    if (one.pixels > 0) held.push_back(one);
  return held;
}

}  // namespace dwgf
