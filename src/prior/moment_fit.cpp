#include "prior/moment_fit.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "prior/convolution_root.hpp"

namespace dwgf {

namespace {

/// As the file will hold it.
at::Tensor rounded(const at::Tensor& values) {
  return values.to(at::kHalf).to(at::kDouble);
}

/// The variances [Q, 1, 1] that a kernel gives.
at::Tensor variances(const at::Tensor& root) {
  return root.square().sum(at::IntArrayRef{1, 2, 3}).view({-1, 1, 1});
}

}  // namespace

JointMoments fit_full(const at::Tensor& second, const MomentShape& shape, const MomentFit& fit) {
  const std::int64_t n = second.size(0), rank = std::min(fit.rank, n);
  const std::int64_t q = shape.values, h = shape.rows, w = shape.columns;
  const auto [values, vectors] = at::linalg_eigh(second);  // ascending
  const at::Tensor leading = values.narrow(0, n - rank, rank).clamp_min(0.0).flip({0});
  const at::Tensor factor = vectors.narrow(1, n - rank, rank).flip({1}) * (leading * (1 - fit.mix)).sqrt();
  JointMoments moments;
  moments.factor = rounded(factor).view({q, h, w, rank});
  const at::Tensor rows = moments.factor.flatten(0, 2);
  const at::Tensor rest = second - at::matmul(rows, rows.t());  // [Q h w, Q h w]
  at::Tensor left = rest.diagonal().view({q, h, w});
  if (left.sum().item<double>() > fit.dropped * second.trace().item<double>()) {
    moments.scale = rounded(left.clamp_min(0.0).sqrt());
    moments.root = rounded(convolution_root(shift_average(rest, shape), fit.radius, fit.dropped).kernel);
    left = left - moments.scale.square() * variances(moments.root);
  }
  moments.variance = left.clamp_min(0.0);
  return moments.to(at::kFloat);
}

JointMoments fit_shift_invariant(const OffsetMoments& moments, const MomentFit& fit) {
  const at::Tensor variance = moments.at_zero().diagonal().view({-1, 1, 1}).clamp_min(0.0);
  JointMoments fitted;
  fitted.root =
      rounded(convolution_root(moments, fit.radius, fit.dropped).kernel * variance.sqrt().unsqueeze(3));
  fitted.variance = (variance - variances(fitted.root)).clamp_min(0.0);
  return fitted.to(at::kFloat);
}

}  // namespace dwgf
