// Masked 2-D Fourier samples, as in magnetic resonance imaging: y = M F x, F the orthonormal 2-D transform
// of each channel, M a mask over the frequencies. y is [2, C, H, W], real parts then imaginary parts;
// frequencies that are not sampled read 0, carry no noise and do not count in m. Adjoint: Re F^-1 M. The
// mask is in the order of numpy.fft.fft2, frequency 0 at [0, 0]: one with its centre in the middle goes
// through numpy.fft.ifftshift first. The trivial inverse is the zero-filled one, Re F^-1 y.
//
// With `complex`, x is a complex image of C / 2 channels, the first half of its channels real parts, the
// second half imaginary ones (as `sense` measures them): y = M F (x_r + i x_i), [2, C / 2, H, W], and the
// adjoint and the trivial inverse have both parts of F^-1 M y.
//
// `fourier:FILE[,complex]`: a mask [H, W] (.npy or PNG, 0 is not sampled), or `@`.
#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"
#include "operators/masking.hpp"
#include "operators/typed_constant.hpp"

namespace dwgf {
namespace {

class MaskedFourier final : public LinearOperator {
 public:
  /// sampled: [C, H, W] of 0 and 1; [C / 2, H, W] of complex images
  MaskedFourier(const ImageShape& shape, const at::Tensor& sampled, bool of_complex)
      : shape_(shape),
        of_complex_(of_complex),
        observed_(at::stack({sampled, sampled}).to(at::kFloat)),
        mask_(observed_) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return image_by_image(x.size(0), [&](std::int64_t b) {
      const at::Tensor image = at_least_float(x.select(0, b));
      const at::Tensor spectrum = at::fft_fft2(of_complex_ ? joined(image) : image, {}, {-2, -1}, "ortho");
      const at::Tensor parts = at::stack({at::real(spectrum), at::imag(spectrum)});  // [2, C, H, W]
      return at::mul(parts, mask_.like(parts)).to(x.scalar_type());
    });
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    return image_by_image(r.size(0), [&](std::int64_t b) {
      const at::Tensor parts = at_least_float(r.select(0, b));
      const at::Tensor kept = at::mul(parts, mask_.like(parts));  // [2, C, H, W]
      const at::Tensor spectrum = at::complex(kept[0], kept[1]);
      const at::Tensor image = at::fft_ifft2(spectrum, {}, {-2, -1}, "ortho");
      const at::Tensor real = at::real(image);
      return (of_complex_ ? at::cat({real, at::imag(image)}) : real).to(r.scalar_type());  // [C, H, W]
    });
  }

  std::vector<std::int64_t> measurement_shape() const override {
    return {2, of_complex_ ? shape_.channels / 2 : shape_.channels, shape_.height, shape_.width};
  }
  at::Tensor observed() const override { return observed_; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override { return adjoint(y); }
  std::string trivial_inverse_name() const override { return "zero-filled inverse"; }

 private:
  /// [C, H, W] -> complex [C / 2, H, W]
  static at::Tensor joined(const at::Tensor& image) {
    const std::vector<at::Tensor> halves = image.chunk(2);
    return at::complex(halves[0].contiguous(), halves[1].contiguous());
  }

  ImageShape shape_;
  bool of_complex_;
  at::Tensor observed_;  // [2, C, H, W], float32
  TypedConstant mask_;   // [2, C, H, W]
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_masked_fourier(const OperatorArguments& arguments,
                                                           const OperatorContext& context) {
  const ImageShape& image = context.image_shape;
  const bool of_complex = arguments.count() > 1;
  if (!of_complex) return std::make_shared<MaskedFourier>(image, load_mask(arguments, context), false);
  if (arguments.text(1) != "complex")
    arguments.refuse(formatted("'{}' is not 'complex'", arguments.text(1)),
                     "write `complex` for images of real and imaginary parts, or leave it out");
  if (image.channels % 2 != 0)
    arguments.refuse(formatted("images of {} channels are no real and imaginary parts", image.channels),
                     "put `sense:FILE` before it");
  OperatorContext complex = context;
  complex.image_shape.channels /= 2;
  return std::make_shared<MaskedFourier>(image, load_mask(arguments, complex), true);
}

}  // namespace dwgf
