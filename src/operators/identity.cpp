// Denoising: y = x.
//
// `identity`
#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

class Identity final : public LinearOperator {
 public:
  explicit Identity(const ImageShape& shape) : shape_(shape) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return x;
  }
  at::Tensor adjoint(const at::Tensor& r) const override { return apply(r); }
  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, shape_.height, shape_.width};
  }
  bool keeps_unobserved() const override { return true; }
  bool measures_image() const override { return true; }

 private:
  ImageShape shape_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_identity(const OperatorArguments& arguments,
                                                     const OperatorContext& context) {
  return std::make_shared<Identity>(context.image_shape);
}

}  // namespace dwgf
