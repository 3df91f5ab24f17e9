// Super-resolution by block means: y_ij = (1 / r^2) sum of x over the r x r block (i, j). No border: r
// divides height and width. Adjoint: every block filled with r_ij / r^2. The trivial inverse is bicubic
// interpolation (see bicubic.hpp).
//
// `mean:r`; throws UsageError unless r divides height and width.
#include <ATen/ATen.h>

#include "operators/batch_shape.hpp"
#include "operators/bicubic.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

class BlockMean final : public LinearOperator {
 public:
  BlockMean(const ImageShape& shape, std::int64_t factor) : shape_(shape), factor_(factor) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return at::avg_pool2d(x, {factor_, factor_});  // [B, C, H / r, W / r]
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    const std::int64_t height = r.size(2), width = r.size(3);
    return (r / static_cast<double>(factor_ * factor_))
        .view({r.size(0), shape_.channels, height, 1, width, 1})
        .expand({-1, -1, -1, factor_, -1, factor_})
        .reshape({r.size(0), shape_.channels, shape_.height, shape_.width});  // [B, C, H, W]
  }

  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, shape_.height / factor_, shape_.width / factor_};
  }
  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    return bicubic_resize(y, shape_.height, shape_.width);
  }
  std::string trivial_inverse_name() const override { return "bicubic"; }

 private:
  ImageShape shape_;
  std::int64_t factor_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_block_mean(const OperatorArguments& arguments,
                                                       const OperatorContext& context) {
  return std::make_shared<BlockMean>(context.image_shape,
                                     arguments.dividing_factor(0, context.image_shape, "bicubic"));
}

}  // namespace dwgf
