#include "operators/separable.hpp"

#include <ATen/ATen.h>

#include "operators/batch_shape.hpp"

namespace dwgf {

at::Tensor separable_product(const at::Tensor& left, const at::Tensor& x, const at::Tensor& right) {
  const at::Tensor lefts = left.expand({x.size(1), left.size(0), left.size(1)});  // [C, h, H]
  return image_by_image(x.size(0), [&](std::int64_t b) {
    return at::bmm(lefts, at::matmul(x.select(0, b), right));  // [C, h, w]
  });
}

SeparableOperator::SeparableOperator(const ImageShape& image_shape, const at::Tensor& rows,
                                     const at::Tensor& columns)
    : image_shape_(image_shape),
      measurement_shape_{image_shape.channels, rows.size(0), columns.size(0)},
      rows_(rows),
      columns_(columns),
      transposed_rows_(rows.t()),
      transposed_columns_(columns.t()) {}

at::Tensor SeparableOperator::apply(const at::Tensor& x) const {
  expect_batch(x, image_shape_, "an image");
  return separable_product(rows_.like(x), x, transposed_columns_.like(x));
}

at::Tensor SeparableOperator::adjoint(const at::Tensor& r) const {
  expect_batch(r, measurement_shape_, "a measurement");
  return separable_product(transposed_rows_.like(r), r, columns_.like(r));
}

}  // namespace dwgf
