/// The Frechet distance between two sets of feature vectors, each taken as a Gaussian (FID where the features
/// are Inception's; Heusel et al., arXiv 1706.08500):
///
///   d^2 = |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)),   tr (C C')^(1/2) = sum_k sqrt(eigenvalue_k(R C' R)),
///       R = C^(1/2)
///
/// m and C the mean and the unbiased covariance. Square roots go by symmetric eigendecompositions, in
/// float64; eigenvalues below 0 are rounding and count as 0.
///
/// Sums do not depend on how the images are shared out over ranks: features are rounded to multiples of
/// 2^-14, so that all sums are of integers.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// Sums over images of the features and of their outer products.
class FeatureSums {
 public:
  explicit FeatureSums(std::int64_t dimension);
  FeatureSums(FeatureSums&&) = default;
  FeatureSums(const FeatureSums&) = delete;

  /// Adds the rows of features [B, d]. Throws DataError for one that is not finite, or not below 32 in size.
  void add(const at::Tensor& features);

  /// All that was summed, as integers: the element-wise sum over ranks is that of all images. Valid as long
  /// as this.
  std::span<std::int64_t> values();

  std::int64_t count() const;
  /// [d], [d, d], float64. @pre count() >= 2
  at::Tensor mean() const;
  at::Tensor covariance() const;

 private:
  std::int64_t dimension_;
  at::Tensor sums_;  // int64 [1 + d + d d]: count, features, outer products
};

/// What several sets are compared with: its square root, the dearest part, is made once.
class FrechetReference {
 public:
  explicit FrechetReference(const FeatureSums& sums);

  /// d^2; NaN where one of the two has less than two images.
  double distance(const FeatureSums& other) const;

 private:
  at::Tensor mean_, root_;  // [d], [d, d]
  double trace_ = 0.0;
};

}  // namespace dwgf
