/// Separable linear operators: y = R x Q^T in every channel, with R [h, H] acting on columns of pixels and Q
/// [w, W] on rows. A 1-D border rule and a normalisation are part of the matrices, so the adjoint R^T r Q is
/// exact whatever the border. Images are multiplied one by one: the bits of one do not depend on how many are
/// in its batch.
///
/// The matrices are dense: H^2 + W^2 values, 2 C H W (H + W) operations; a thousandth of a decoder pass at
/// 512 x 512.
#pragma once

#include <dwgf/operators/operator.hpp>

#include "operators/typed_constant.hpp"

namespace dwgf {

class SeparableOperator : public LinearOperator {
 public:
  /// rows [h, H] and columns [w, W], float64
  SeparableOperator(const ImageShape& image_shape, const at::Tensor& rows, const at::Tensor& columns);

  at::Tensor apply(const at::Tensor& x) const override;
  at::Tensor adjoint(const at::Tensor& r) const override;
  std::vector<std::int64_t> measurement_shape() const override { return measurement_shape_; }

 private:
  ImageShape image_shape_;
  std::vector<std::int64_t> measurement_shape_;
  TypedConstant rows_;                // [h, H]
  TypedConstant columns_;             // [w, W]
  TypedConstant transposed_rows_;     // [H, h]
  TypedConstant transposed_columns_;  // [W, w]
};

/// left x right in every channel of every image: x [B, C, H, W], left [h, H], right [W, w] -> [B, C, h, w].
at::Tensor separable_product(const at::Tensor& left, const at::Tensor& x, const at::Tensor& right);

}  // namespace dwgf
