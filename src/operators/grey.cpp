// Colour to grey: y = 0.299 red + 0.587 green + 0.114 blue (luma of ITU-R BT.601), [3, H, W] -> [1, H, W].
// The weights sum to 1, so grey pixels keep their value. Adjoint: the weight of each channel times r. The
// trivial inverse is y in every channel.
//
// `grey`; throws UsageError unless the image has 3 channels.
#include <array>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

constexpr std::array<double, 3> kLuma{0.299, 0.587, 0.114};

class Grey final : public LinearOperator {
 public:
  explicit Grey(const ImageShape& shape) : shape_(shape) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    // Products first: a fused multiply-add would round by a value's place in memory.
    const auto part = [&](std::int64_t c) { return x.narrow(1, c, 1) * kLuma[static_cast<std::size_t>(c)]; };
    return part(0).add_(part(1)).add_(part(2));  // [B, 1, H, W]
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    return at::cat({r * kLuma[0], r * kLuma[1], r * kLuma[2]}, 1);  // [B, 3, H, W]
  }

  std::vector<std::int64_t> measurement_shape() const override { return {1, shape_.height, shape_.width}; }
  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    return y.expand({-1, 3, -1, -1}).contiguous();
  }
  std::string trivial_inverse_name() const override { return "grey"; }

 private:
  ImageShape shape_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_grey(const OperatorArguments& arguments,
                                                 const OperatorContext& context) {
  const std::int64_t channels = context.image_shape.channels;
  if (channels != 3)
    arguments.refuse(formatted("the image has {}{}", channels, channels == 1 ? " channel" : " channels"),
                     "only images of 3 channels (red, green, blue) can turn grey");
  return std::make_shared<Grey>(context.image_shape);
}

}  // namespace dwgf
