// Quantisation to L levels on [-1, 1]: y = 2 round((L - 1) (clamp(x, -1, 1) + 1) / 2) / (L - 1) - 1, ties to
// even.
//
// The derivative is 0 almost everywhere and says nothing, so A'(x)^T r is that of the straight-through
// estimator: r, as if A were the identity (Bengio et al., arXiv 1308.3432). The trivial inverse is y itself.
//
// `quantise:levels`, 2 to 65,536
#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

class Quantise final : public ForwardOperator {
 public:
  Quantise(const ImageShape& shape, std::int64_t levels)
      : shape_(shape), half_steps_(static_cast<double>(levels - 1) / 2) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    const at::Tensor level = at_least_float(x).clamp(-1, 1).add(1).mul_(half_steps_).round_();
    return level.div_(half_steps_).sub_(1).to(x.scalar_type());  // [B, C, H, W]
  }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    expect_batch(x, shape_, "an image");
    expect_batch(r, shape_, "a measurement");
    return r.clone();
  }
  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const override {
    return pull_back(x, v);  // symmetric
  }
  bool is_linear() const override { return false; }
  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, shape_.height, shape_.width};
  }
  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override { return y.clone(); }
  std::string trivial_inverse_name() const override { return "as it is"; }

 private:
  ImageShape shape_;
  double half_steps_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_quantise(const OperatorArguments& arguments,
                                                     const OperatorContext& context) {
  constexpr std::int64_t most = 65536;
  const std::int64_t levels = arguments.integer(0, "levels", 2);
  if (levels > most)
    arguments.refuse(formatted("levels is {}", levels), formatted("it can be {} at most", most));
  return std::make_shared<Quantise>(context.image_shape, levels);
}

}  // namespace dwgf
