#include "operators/baselines/linear_mmse.hpp"

#include <algorithm>
#include <tuple>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kMostValues = 4096;
constexpr std::int64_t kImagesAtOnce = 256;
constexpr double kRelativeRidge = 1e-9;

/// A applied to every row of `images` [k, n], observed entries only: [k, m].
at::Tensor measure_rows(const ForwardOperator& forward, const at::Tensor& images, const ImageShape& shape,
                        const at::Tensor& observed_rows) {
  at::Tensor measured = at::empty({images.size(0), observed_rows.size(0)}, at::kDouble);
  for (std::int64_t first = 0; first < images.size(0); first += kImagesAtOnce) {
    const std::int64_t count = std::min(kImagesAtOnce, images.size(0) - first);
    const at::Tensor batch = images.narrow(0, first, count)
                                 .view({count, shape.channels, shape.height, shape.width});  // [b, C, H, W]
    const at::Tensor y = forward.apply(batch).reshape({count, -1});                          // [b, all of y]
    measured.narrow(0, first, count).copy_(y.index_select(1, observed_rows));
  }
  return measured;
}

/// The lower Cholesky factor of `gram` + ridge. A Gram matrix may be singular (sigma = 0, or lost to
/// rounding): then a ridge far below its own size decides.
at::Tensor factorise(at::Tensor gram, double noise_variance) {
  const double floor = kRelativeRidge * gram.diagonal().mean().item<double>();
  const bool noise_free = noise_variance == 0;
  gram.diagonal().add_(noise_free ? floor : noise_variance);
  auto [factor, info] = at::linalg_cholesky_ex(gram);
  if (info.item<int>() != 0 && !noise_free) {
    gram.diagonal().add_(floor);
    std::tie(factor, info) = at::linalg_cholesky_ex(gram);
  }
  if (info.item<int>() != 0)
    throw InternalError(
        "linear MMSE: A S A^T + sigma^2 I is not positive definite; is the covariance of the images one?");
  return factor;
}

}  // namespace

LinearMmse::LinearMmse(const GaussianImages& images, std::shared_ptr<const ForwardOperator> forward,
                       double sigma) {
  if (!forward->is_linear())
    throw UsageError(
        "linear MMSE: the operator is not linear; the estimate exists for linear operators only");
  if (images.mean.numel() > kMostValues) {
    throw UsageError("linear MMSE: an image has {} values, where {} can be at most; use smaller images",
                     images.mean.numel(), kMostValues);
  }
  if (!(sigma >= 0))
    throw UsageError("problem.sigma: {} is not a standard deviation; it must be >= 0", sigma);

  const at::NoGradGuard no_gradients;
  mean_ = images.mean.to(at::kCPU, at::kDouble);  // [C, H, W]
  shape_ = {mean_.size(0), mean_.size(1), mean_.size(2)};
  const std::int64_t n = mean_.numel();
  const at::Tensor factor = images.factor.to(at::kCPU, at::kDouble).reshape({-1, n});  // [k, n]
  const at::Tensor residual = images.residual.to(at::kCPU, at::kDouble).reshape({n});  // [n]
  const at::Tensor mask = forward->observed();
  rows_ = mask.defined() ? mask.reshape({-1}).nonzero().squeeze(1)
                         : at::arange(forward->observed_count());  // [m]

  at::Tensor covariance = at::mm(factor.t(), factor);  // [n, n]
  covariance.diagonal().add_(residual);
  const at::Tensor cross = measure_rows(*forward, covariance, shape_, rows_);  // S A^T, [n, m]
  const at::Tensor variance = covariance.diagonal().clone();                   // [n]
  covariance.reset();
  const at::Tensor transposed = cross.t().contiguous();                                     // A S, [m, n]
  const at::Tensor gram = measure_rows(*forward, transposed, shape_, rows_);                // A S A^T, [m, m]
  gain_ = at::cholesky_solve(transposed, factorise(gram, sigma * sigma)).t().contiguous();  // [n, m]
  deviation_ = (variance - (gain_ * cross).sum(1)).clamp_min(0).sqrt().view(mean_.sizes());
  offset_ = measure_rows(*forward, mean_.reshape({1, n}), shape_, rows_).squeeze(0);  // [m]
}

at::Tensor LinearMmse::estimate(const at::Tensor& y) const {
  const at::Tensor observed =
      y.detach().to(at::kCPU, at::kDouble).reshape({-1}).index_select(0, rows_);  // [m]
  return mean_ + at::mv(gain_, observed - offset_).view(mean_.sizes());           // [C, H, W]
}

}  // namespace dwgf
