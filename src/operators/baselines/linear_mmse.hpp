/// The best linear estimate under a Gaussian fitted to training images: the bar that a restoration with a
/// linear operator has to beat. x = mu + S A^T (A S A^T + sigma^2 I)^-1 (y - A mu), over the observed entries
/// of y.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// A Gaussian over images: covariance = factor^T factor + diag(residual), flattened.
struct GaussianImages {
  at::Tensor mean;      ///< [C, H, W]
  at::Tensor factor;    ///< [k, C, H, W]
  at::Tensor residual;  ///< [C, H, W], >= 0
};

class LinearMmse {
 public:
  /// Solves once for this operator and noise; memory is (C H W)^2 doubles, so images of more than 4,096
  /// values are refused.
  /// @pre the operator is linear and of the Gaussian's image shape. Throws UsageError.
  LinearMmse(const GaussianImages& images, std::shared_ptr<const ForwardOperator> forward, double sigma);

  /// y [...measurement] -> x [C, H, W], float64
  at::Tensor estimate(const at::Tensor& y) const;
  /// The Gaussian's standard deviation of each pixel given any y, [C, H, W] float64: the square root of the
  /// diagonal of S - S A^T (A S A^T + sigma^2 I)^-1 A S.
  const at::Tensor& deviation() const { return deviation_; }

 private:
  at::Tensor mean_;       // [C, H, W]
  at::Tensor deviation_;  // [C, H, W]
  at::Tensor gain_;       // [n, m]
  at::Tensor offset_;     // [m], A mu
  at::Tensor rows_;       // indices of the observed entries, [m]
  ImageShape shape_;
};

}  // namespace dwgf
