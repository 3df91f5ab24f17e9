#include "metric/frechet.hpp"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"

namespace dwgf {

namespace {

constexpr double kScale = 0x1p14;
constexpr double kLargest = 32.0;
// Products of two rounded features stay below 2^38, and so many of them below 2^53: exact in float64, in any
// order.
constexpr std::int64_t kBlock = 1 << 15;

at::Tensor symmetric_root(const at::Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::matmul(vectors * values.clamp_min(0.0).sqrt(), vectors.t());
}

}  // namespace

FeatureSums::FeatureSums(std::int64_t dimension)
    : dimension_(dimension), sums_(at::zeros({1 + dimension + dimension * dimension}, at::kLong)) {}

void FeatureSums::add(const at::Tensor& features) {
  if (features.dim() != 2 || features.size(1) != dimension_)
    throw InternalError("features {} where [B, {}] are needed", features.sizes(), dimension_);
  const at::Tensor wide = features.to(at::kCPU, at::kDouble);
  if (!wide.abs().lt(kLargest).all().item<bool>()) {
    throw DataError(
        "a feature is not finite, or not below {} in size; these weights are not those of the network that "
        "FID is defined by",
        kLargest);
  }
  for (std::int64_t first = 0; first < wide.size(0); first += kBlock) {
    const at::Tensor whole =
        (wide.slice(0, first, std::min(first + kBlock, wide.size(0))) * kScale).round();  // [B, d]
    sums_.slice(0, 0, 1).add_(whole.size(0));
    sums_.slice(0, 1, 1 + dimension_).add_(whole.sum(0).to(at::kLong));
    sums_.slice(0, 1 + dimension_).add_(at::matmul(whole.t(), whole).to(at::kLong).flatten());
  }
}

std::span<std::int64_t> FeatureSums::values() {
  return {sums_.data_ptr<std::int64_t>(), static_cast<std::size_t>(sums_.numel())};
}

std::int64_t FeatureSums::count() const {
  return sums_[0].item<std::int64_t>();
}

at::Tensor FeatureSums::mean() const {
  precondition(count() >= 2, "at least 2 features");
  return sums_.slice(0, 1, 1 + dimension_).to(at::kDouble) / (kScale * static_cast<double>(count()));
}

at::Tensor FeatureSums::covariance() const {
  const double n = static_cast<double>(count());
  const at::Tensor m = mean();
  const at::Tensor products =
      sums_.slice(0, 1 + dimension_).to(at::kDouble).view({dimension_, dimension_}) / (kScale * kScale);
  return (products - n * at::outer(m, m)) / (n - 1.0);
}

FrechetReference::FrechetReference(const FeatureSums& sums) {
  if (sums.count() < 2) return;
  const at::Tensor covariance = sums.covariance();
  mean_ = sums.mean();
  trace_ = covariance.trace().item<double>();
  root_ = symmetric_root(covariance);
}

double FrechetReference::distance(const FeatureSums& other) const {
  if (!root_.defined() || other.count() < 2) return std::numeric_limits<double>::quiet_NaN();
  const at::Tensor covariance = other.covariance();
  const at::Tensor between = at::matmul(root_, at::matmul(covariance, root_));
  const at::Tensor values = at::linalg_eigvalsh(0.5 * (between + between.t()));
  const double shared = values.clamp_min(0.0).sqrt().sum().item<double>();
  return (mean_ - other.mean()).square().sum().item<double>() + trace_ + covariance.trace().item<double>() -
         2.0 * shared;
}

}  // namespace dwgf
