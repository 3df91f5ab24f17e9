/// Rows x_1 ... x_N in R^d as a Gaussian N(m, C):
///
///   full      C = S,   S = sum_k (x_k - m)(x_k - m)^T / (N - 1); of rank below d where N <= d
///   lowrank   C = alpha v I + (1 - alpha) S,   v = tr S / d,
///       alpha in [0, 1] the share that is best in expected squared error, as
///             Ledoit and Wolf estimate it (2004, doi:10.1016/S0047-259X(03)00096-4):
///             alpha = min(b^2 / |S - v I|^2, 1),   b^2 = sum_k |x_k x_k^T - S|^2 / N^2
///                 (rows about m; Frobenius norms)
///
/// With few rows in many dimensions alpha is near 1 and C near v I; with many it vanishes and C is S. Both
/// are kept by the eigenvectors of S alone, from the smaller of S [d, d] and the rows' Gram matrix [N, N]: N
/// d min(N, d) multiply-adds and N d values, never a d x d matrix where N <= d. All in float64.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include <dwgf/catalogue/method_options.hpp>

namespace dwgf {

class EnsembleGaussian {
 public:
  /// Rows [N, d]. `kind` is full or lowrank.
  EnsembleGaussian(const at::Tensor& rows, CovarianceKind kind);

  const at::Tensor& mean() const { return mean_; }         ///< m [d], float64
  double shrinkage() const { return shrinkage_; }          ///< alpha; 0 for full
  double mean_variance() const { return mean_variance_; }  ///< v

  /// f(C) x for rows x [M, d], in their type; f acts on eigenvalues, entry by entry.
  at::Tensor apply(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f) const;

  /// The score of the noised Gaussian, -(a^2 C + s^2 I)^-1 (z_t - a m), [M, d]. @pre s > 0, or C has full
  /// rank
  at::Tensor score(const at::Tensor& z_t, double a, double s) const;

 private:
  at::Tensor mean_;         // [d]
  at::Tensor axes_;         // [d, k], orthonormal columns
  at::Tensor eigenvalues_;  // [k], of C along them
  at::Tensor elsewhere_;    // [1], the eigenvalue of C across all of them
  bool complete_ = false;   // k = d: there is nothing across
  double shrinkage_ = 0.0;
  double mean_variance_ = 0.0;
};

}  // namespace dwgf
