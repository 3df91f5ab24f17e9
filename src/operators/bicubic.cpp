#include "operators/bicubic.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/known_operators.hpp"
#include "operators/separable.hpp"

namespace dwgf {
namespace {

double keys_cubic(double t) {
  constexpr double a = -0.5;
  t = std::abs(t);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

class BicubicDownsampling final : public SeparableOperator {
 public:
  BicubicDownsampling(const ImageShape& shape, std::int64_t factor)
      : SeparableOperator(shape, bicubic_matrix(shape.height, shape.height / factor),
                          bicubic_matrix(shape.width, shape.width / factor)),
        shape_(shape) {}

  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    return bicubic_resize(y, shape_.height, shape_.width);
  }
  std::string trivial_inverse_name() const override { return "bicubic"; }

 private:
  ImageShape shape_;
};

}  // namespace

at::Tensor bicubic_matrix(std::int64_t from, std::int64_t to) {
  at::Tensor matrix = at::zeros({to, from}, at::kDouble);
  auto weights = matrix.accessor<double, 2>();
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = static_cast<std::int64_t>(std::max(0.0, std::floor(centre - 2 * stretch + 0.5)));
    const auto end = std::min(from, static_cast<std::int64_t>(std::floor(centre + 2 * stretch + 0.5)));
    double sum = 0;
    for (std::int64_t j = first; j < end; ++j) {
      weights[i][j] = keys_cubic((static_cast<double>(j) + 0.5 - centre) / stretch);
      sum += weights[i][j];
    }
    for (std::int64_t j = first; j < end; ++j) weights[i][j] /= sum;
  }
  return matrix;
}

at::Tensor bicubic_resize(const at::Tensor& y, std::int64_t height, std::int64_t width) {
  const at::Tensor rows = bicubic_matrix(y.size(2), height);                   // [H, h]
  const at::Tensor columns = bicubic_matrix(y.size(3), width).t();             // [w, W]
  return separable_product(rows.to(y.options()), y, columns.to(y.options()));  // [B, C, H, W]
}

std::shared_ptr<const ForwardOperator> make_bicubic(const OperatorArguments& arguments,
                                                    const OperatorContext& context) {
  const ImageShape& shape = context.image_shape;
  const std::int64_t factor = arguments.integer(0, "the factor", 1),
                     smaller = std::min(shape.height, shape.width);
  if (factor > smaller)
    arguments.refuse(formatted("the factor {} leaves nothing of the image of {}", factor, to_text(shape)),
                     formatted("it can be {} at most", smaller));
  return std::make_shared<BicubicDownsampling>(shape, factor);
}

}  // namespace dwgf
