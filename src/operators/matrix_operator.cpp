// Any linear map, as in compressed sensing: y = M vec(x), M [m, C H W] with the image row-major [C, H, W]; y
// is [m]. Adjoint: M^T. Memory is that of M, in double and in the type that it is used in.
//
// The trivial inverse is the least-squares solution of least norm, by conjugate gradients on the normal
// equations in double (CGLS), from 0 to a relative residual |M^T (y - M x)| of 1e-8, 500 iterations at most.
//
// `matrix:FILE`: M from a .npy file (uint8 v reads v / 127.5 - 1, as pixels do), or `@`.
#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"
#include "operators/operator_arrays.hpp"
#include "operators/typed_constant.hpp"

namespace dwgf {
namespace {

/// The least x with M^T M x = M^T y.
at::Tensor least_squares(const at::Tensor& matrix, const at::Tensor& y) {
  constexpr int most_iterations = 500;
  constexpr double relative = 1e-8;
  const at::Tensor transposed = matrix.t();
  at::Tensor x = at::zeros({matrix.size(1)}, y.options());
  at::Tensor residual = y.clone();
  at::Tensor gradient = at::mv(transposed, residual);
  at::Tensor direction = gradient.clone();
  double energy = gradient.dot(gradient).item<double>();
  const double limit = relative * relative * energy;
  for (int iteration = 0; iteration < most_iterations && energy > limit; ++iteration) {
    const at::Tensor product = at::mv(matrix, direction);
    const double curvature = product.dot(product).item<double>();
    if (!(curvature > 0)) break;
    const double step = energy / curvature;
    x.add_(direction, step);
    residual.sub_(product, step);
    gradient = at::mv(transposed, residual);
    const double next = gradient.dot(gradient).item<double>();
    direction.mul_(next / energy).add_(gradient);
    energy = next;
  }
  return x;
}

class MatrixOperator final : public LinearOperator {
 public:
  MatrixOperator(const ImageShape& shape, const at::Tensor& matrix)
      : shape_(shape), rows_(matrix.size(0)), matrix_(matrix) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    const at::Tensor& matrix = matrix_.like(x);
    // Copies: a product may round by where in memory its vector lies.
    return image_by_image(x.size(0), [&](std::int64_t b) {
      return at::mv(matrix, x.select(0, b).flatten().clone());  // [m]
    });
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    const at::Tensor transposed = matrix_.like(r).t();
    return image_by_image(r.size(0), [&](std::int64_t b) {
      return at::mv(transposed, r.select(0, b).clone()).view({shape_.channels, shape_.height, shape_.width});
    });
  }

  std::vector<std::int64_t> measurement_shape() const override { return {rows_}; }

  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    const at::Tensor wide = y.to(at::kDouble);
    const at::Tensor& matrix = matrix_.like(wide);
    return image_by_image(y.size(0), [&](std::int64_t b) {
      return least_squares(matrix, wide.select(0, b))
          .view({shape_.channels, shape_.height, shape_.width})
          .to(y.scalar_type());
    });
  }
  std::string trivial_inverse_name() const override { return "least squares"; }

 private:
  ImageShape shape_;
  std::int64_t rows_;
  TypedConstant matrix_;  // [m, C H W]
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_matrix_operator(const OperatorArguments& arguments,
                                                            const OperatorContext& context) {
  const ImageShape& image = context.image_shape;
  const at::Tensor matrix = load_array(arguments, context, "matrix");
  if (matrix.dim() != 2 || matrix.size(0) < 1 ||
      matrix.size(1) != image.channels * image.height * image.width) {
    arguments.refuse(formatted("the matrix has the shape {}", matrix.sizes()),
                     formatted("for images of {} it must be [m, {}]", to_text(image),
                               image.channels * image.height * image.width));
  }
  return std::make_shared<MatrixOperator>(image, matrix);
}

}  // namespace dwgf
