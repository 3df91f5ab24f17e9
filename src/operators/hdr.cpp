// High dynamic range: y = clamp(2 x, -1, 1), pixel by pixel. Nonlinear: A'(x)^T r = 2 r where |2 x| <= 1,
// and 0 elsewhere. The trivial inverse is y / 2, exact where nothing was clipped.
//
// `hdr`
#include <ATen/ATen.h>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

class HighDynamicRange final : public ForwardOperator {
 public:
  explicit HighDynamicRange(const ImageShape& shape) : shape_(shape) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return (2 * x).clamp(-1, 1);
  }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    expect_batch(x, shape_, "an image");
    return x.abs().le(0.5).mul(r).mul_(2);  // [B, C, H, W]
  }
  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const override {
    return pull_back(x, v);  // diagonal
  }
  bool is_linear() const override { return false; }
  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, shape_.height, shape_.width};
  }
  bool keeps_unobserved() const override { return true; }
  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override { return y / 2; }
  std::string trivial_inverse_name() const override { return "half"; }

 private:
  ImageShape shape_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_hdr(const OperatorArguments& arguments,
                                                const OperatorContext& context) {
  return std::make_shared<HighDynamicRange>(context.image_shape);
}

}  // namespace dwgf
