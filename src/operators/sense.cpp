// Sensitivities of several receiving coils, as in parallel magnetic resonance imaging: y_j = S_j x with
// complex maps S_j [H, W], j = 1 ... J, x a real image of one channel. y is [2 J, H, W], all real parts,
// then all imaginary parts, as `fourier:MASK,complex` takes them: `sense:@ | fourier:@,complex` is y_j = M
// F S_j x (Pruessmann et al., SENSE, 1999,
// doi:10.1002/(SICI)1522-2594(199911)42:5<952::AID-MRM16>3.0.CO;2-S). Adjoint: sum_j Re conj(S_j) r_j. The
// trivial inverse is that sum divided by sum_j |S_j|^2, 0 where that is 0.
//
// `sense:FILE`: maps [2, J, H, W] (.npy, real parts first), or `@`.
#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"
#include "operators/operator_arrays.hpp"
#include "operators/typed_constant.hpp"

namespace dwgf {
namespace {

class CoilMaps final : public LinearOperator {
 public:
  /// maps: [2 J, H, W]
  CoilMaps(const ImageShape& shape, const at::Tensor& maps)
      : shape_(shape), coils_(maps.size(0) / 2), maps_(maps) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return x * maps_.like(x);  // [B, 1, H, W] by [2 J, H, W]
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    return image_by_image(r.size(0),
                          [&](std::int64_t b) { return (r.select(0, b) * maps_.like(r)).sum(0, true); });
  }

  std::vector<std::int64_t> measurement_shape() const override {
    return {2 * coils_, shape_.height, shape_.width};
  }

  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    const at::Tensor energy = maps_.like(y).square().sum(0, true);  // [1, H, W]
    return at::where(energy > 0, adjoint(y) / energy, at::zeros({}, y.options()));
  }
  std::string trivial_inverse_name() const override { return "coils combined"; }

 private:
  ImageShape shape_;
  std::int64_t coils_;
  TypedConstant maps_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_coil_maps(const OperatorArguments& arguments,
                                                      const OperatorContext& context) {
  const ImageShape& image = context.image_shape;
  const at::Tensor maps = load_array(arguments, context, "coils");
  if (image.channels != 1)
    arguments.refuse(formatted("the images have {} channels", image.channels),
                     "coil maps are of images of one channel, so that the prior has to be of grey ones");
  if (maps.dim() != 4 || maps.size(0) != 2 || maps.size(1) < 1 || maps.size(2) != image.height ||
      maps.size(3) != image.width) {
    arguments.refuse(formatted("the maps have the shape {}", maps.sizes()),
                     formatted("for images of {} they must be [2, coils, {}, {}], real parts first",
                               to_text(image), image.height, image.width));
  }
  if (!maps.ne(0).any().item<bool>()) arguments.refuse("the maps are 0 everywhere", "nothing would be seen");
  return std::make_shared<CoilMaps>(image, maps.flatten(0, 1).contiguous());
}

}  // namespace dwgf
