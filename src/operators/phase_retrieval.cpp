// Phase retrieval: y = |F(pad((x + 1) / 2))|, with F the orthonormal 2-D Fourier transform of each channel
// and zero padding of p = floor(oversample W / 8) pixels on each of the four sides: [C, H + 2p, W + 2p].
//
// Nonlinear: with f = F(pad((x + 1) / 2)) and 0 for f / |f| where f = 0,
//   A'(x)^T r = (1 / 2) crop(Re F^-1(r f / |f|)),    A'(x) v = Re(conj(f / |f|) F(pad(v / 2)))
// Half precisions are transformed in float32. Trivial inverse: hybrid input-output.
//
// `phase[:oversample]`, 0 <= oversample <= 32 (2 by default)
#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/baselines/hybrid_input_output.hpp"
#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

class PhaseRetrieval final : public ForwardOperator {
 public:
  PhaseRetrieval(const ImageShape& shape, std::int64_t padding) : shape_(shape), padding_(padding) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return image_by_image(x.size(0), [&](std::int64_t b) {
      return spectrum(x.select(0, b)).abs().to(x.scalar_type());  // [C, H + 2p, W + 2p]
    });
  }

  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    expect_batch(x, shape_, "an image");
    expect_batch(r, measurement_shape(), "a measurement");
    return image_by_image(x.size(0), [&](std::int64_t b) {
      const at::Tensor rotated = spectrum(x.select(0, b)).sgn_().mul_(r.select(0, b));  // [C, H + 2p, W + 2p]
      return at::real(at::fft_ifft2(rotated, {}, {-2, -1}, "ortho"))
          .narrow(1, padding_, shape_.height)
          .narrow(2, padding_, shape_.width)
          .mul(0.5)
          .to(x.scalar_type());  // [C, H, W]
    });
  }

  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const override {
    expect_batch(x, shape_, "an image");
    expect_batch(v, shape_, "an image");
    return image_by_image(x.size(0), [&](std::int64_t b) {
      const at::Tensor change = transformed(wide(v.select(0, b)) / 2);  // [C, H + 2p, W + 2p]
      return at::real(spectrum(x.select(0, b)).sgn_().conj() * change).to(x.scalar_type());
    });
  }

  bool is_linear() const override { return false; }
  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    expect_batch(y, measurement_shape(), "a measurement");
    return hybrid_input_output(y, padding_);
  }
  std::string trivial_inverse_name() const override { return "hybrid input-output"; }
  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, shape_.height + 2 * padding_, shape_.width + 2 * padding_};
  }

 private:
  /// [C, H, W] -> [C, H + 2p, W + 2p], complex
  at::Tensor spectrum(const at::Tensor& image) const { return transformed((wide(image) + 1) / 2); }
  at::Tensor transformed(const at::Tensor& image) const {
    const at::Tensor padded = at::constant_pad_nd(image, {padding_, padding_, padding_, padding_});
    return at::fft_fft2(padded, {}, {-2, -1}, "ortho");
  }
  static at::Tensor wide(const at::Tensor& image) {
    return image.scalar_type() == at::kDouble ? image : image.to(at::kFloat);
  }

  ImageShape shape_;
  std::int64_t padding_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_phase_retrieval(const OperatorArguments& arguments,
                                                            const OperatorContext& context) {
  constexpr double most = 32;
  const double oversample = arguments.count() > 0 ? arguments.number(0, "oversample") : 2.0;
  if (!(oversample >= 0 && oversample <= most))
    arguments.refuse(formatted("oversample is {}", oversample), formatted("it must be in 0 ... {}", most));
  const auto padding =
      static_cast<std::int64_t>(oversample / 8 * static_cast<double>(context.image_shape.width));
  return std::make_shared<PhaseRetrieval>(context.image_shape, padding);
}

}  // namespace dwgf
