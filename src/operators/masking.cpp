#include "operators/masking.hpp"

#include <array>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "operators/baselines/harmonic_fill.hpp"
#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"
#include "operators/operator_arrays.hpp"

namespace dwgf {

Masking::Masking(const at::Tensor& observed) : observed_(observed.to(at::kFloat)), mask_(observed) {}

at::Tensor Masking::apply(const at::Tensor& x) const {
  expect_batch(x, observed_.sizes(), "an image");
  return at::mul(x, mask_.like(x));  // [B, C, H, W]
}

at::Tensor Masking::trivial_inverse(const at::Tensor& y, double) const {
  return harmonic_fill(y, observed_);
}

std::shared_ptr<const ForwardOperator> make_box_inpainting(const OperatorArguments& arguments,
                                                           const OperatorContext& context) {
  const ImageShape& shape = context.image_shape;
  const std::int64_t top = arguments.integer(0, "top", 0), left = arguments.integer(1, "left", 0);
  const std::int64_t height = arguments.integer(2, "height", 1), width = arguments.integer(3, "width", 1);
  // Subtracting first: a sum of two given numbers could overflow.
  const auto inside = [&](const char* what, const char* row, std::int64_t first, std::int64_t count,
                          std::int64_t size) {
    if (first < size && count <= size - first) return;
    arguments.refuse(formatted("the box leaves the image: {} {} from {} {} on, where there are {}", count,
                               what, row, first, size),
                     formatted("keep it inside the image of {}", to_text(shape)));
  };
  inside("rows", "row", top, height, shape.height);
  inside("columns", "column", left, width, shape.width);
  if (height == shape.height && width == shape.width)
    arguments.refuse("the box covers the whole image, nothing is observed",
                     "make it smaller than the image of " + to_text(shape));

  at::Tensor observed = at::ones({shape.channels, shape.height, shape.width});
  observed.narrow(1, top, height).narrow(2, left, width).zero_();
  return std::make_shared<Masking>(observed);
}

std::shared_ptr<const ForwardOperator> make_random_inpainting(const OperatorArguments& arguments,
                                                              const OperatorContext& context) {
  const ImageShape& shape = context.image_shape;
  const double fraction = arguments.number(0, "the missing fraction");
  if (!(fraction >= 0 && fraction < 1))
    arguments.refuse(formatted("the missing fraction is {}", fraction), "it must be at least 0 and below 1");

  at::Tensor uniforms = at::empty({shape.channels, shape.height, shape.width}, at::kDouble);
  fill_uniforms(
      {.seed = context.seed, .image = context.image, .step = context.drawn, .purpose = Purpose::mask},
      {uniforms.data_ptr<double>(), static_cast<std::size_t>(uniforms.numel())});
  const at::Tensor observed = uniforms.ge(fraction);  // [C, H, W]
  if (!observed.any().item<bool>())
    arguments.refuse(
        formatted("no pixel of the {} image of identity {} is observed", to_text(shape), context.image),
        "lower the missing fraction");
  if (context.on_array) context.on_array("mask", observed);
  return std::make_shared<Masking>(observed);
}

at::Tensor load_mask(const OperatorArguments& arguments, const OperatorContext& context) {
  const ImageShape& shape = context.image_shape;
  const at::Tensor mask = load_array(arguments, context, "mask");
  const std::array<std::int64_t, 3> whole{shape.channels, shape.height, shape.width};
  const at::IntArrayRef sizes(whole);
  if (mask.sizes() != sizes && mask.sizes() != sizes.slice(1))
    arguments.refuse(
        formatted("the mask has the shape {}", mask.sizes()),
        formatted("for images of {} it must be {} or {}", to_text(shape), sizes.slice(1), sizes));
  const at::Tensor observed = mask.ne(0).to(at::kFloat).expand(sizes).contiguous();  // [C, H, W]
  if (!observed.any().item<bool>()) arguments.refuse("the mask is 0 everywhere", "nothing would be observed");
  return observed;
}

std::shared_ptr<const ForwardOperator> make_mask_inpainting(const OperatorArguments& arguments,
                                                            const OperatorContext& context) {
  return std::make_shared<Masking>(load_mask(arguments, context));
}

}  // namespace dwgf
