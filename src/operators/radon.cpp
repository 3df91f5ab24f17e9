// Parallel-beam tomography: line integrals of each channel, along the rays
//
//     x cos t + y sin t = s,   t = 0, 180 / views, ... degrees,   s = -(D - 1) / 2 ... (D - 1) / 2,
//
// with (x, y) the position of a pixel from the image's centre, x to the right and y down, in pixels, and D =
// ceil(sqrt(H^2 + W^2)) + 1 detectors one pixel apart, which see all of the image. Joseph's method (1982,
// doi:10.1109/TMI.1982.4307572): with c the larger of |cos t|, |sin t|, pixel (x, y) adds to the ray s
//
//     w = max(0, 1 - |s - x cos t - y sin t| / c) / c,
//
// linear interpolation between the two pixels that the ray passes in every row (column). y [C, views, D] is
// divided by max(H, W): it is near the scale of the image. Outside of the image is 0. Both directions gather
// by the same w, so the adjoint is exact. Time is views H W; nothing is stored.
//
// The trivial inverse is the filtered back-projection with the ramp filter of Ram and Lak, band-limited in
// space (Kak and Slaney, Principles of computerized tomographic imaging, 1988, eq. 61).
//
// scikit-image's `radon` turns the image by bilinear interpolation instead, does not divide, has a column
// for a view, and means -t by the angle t: see tools/make_operator_golden.py.
//
// `radon:views`, 1 to 65,535
#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

class Radon final : public LinearOperator {
 public:
  Radon(const ImageShape& shape, std::int64_t views) : shape_(shape), views_(views) {
    const auto height = static_cast<double>(shape.height), width = static_cast<double>(shape.width);
    detectors_ = static_cast<std::int64_t>(std::ceil(std::hypot(height, width))) + 1;
    scale_ = 1 / std::max(height, width);
  }

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return image_by_image(x.size(0), [&](std::int64_t b) {
      const at::Tensor image = at_least_float(x.select(0, b));
      std::vector<at::Tensor> projections;
      for (std::int64_t view = 0; view < views_; ++view) projections.push_back(project(image, view));
      return at::stack(projections, 1).to(x.scalar_type());  // [C, views, D]
    });
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    return image_by_image(r.size(0), [&](std::int64_t b) {
      const at::Tensor wide = at_least_float(r.select(0, b));
      return back_project(wide, /*joseph=*/true).mul_(scale_).to(r.scalar_type());
    });
  }

  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, views_, detectors_};
  }

  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    return image_by_image(y.size(0), [&](std::int64_t b) {
      const at::Tensor filtered = ramp_filtered(y.select(0, b).to(at::kDouble));  // [C, views, D]
      return back_project(filtered, /*joseph=*/false)
          .mul_(std::numbers::pi / static_cast<double>(views_) / scale_)
          .to(y.scalar_type());  // [C, H, W]
    });
  }
  std::string trivial_inverse_name() const override { return "filtered back-projection"; }

 private:
  struct View {
    double cosine, sine, slope;
    bool along_rows;  ///< one pixel a row is looked for, and its neighbour
  };

  View view_of(std::int64_t view) const {
    const double angle = std::numbers::pi * static_cast<double>(view) / static_cast<double>(views_);
    const double cosine = std::cos(angle), sine = std::sin(angle);
    return {cosine, sine, std::max(std::abs(cosine), std::abs(sine)), std::abs(cosine) >= std::abs(sine)};
  }

  static at::Tensor centred(std::int64_t count) {
    return at::arange(count, at::kDouble) - static_cast<double>(count - 1) / 2;
  }

  /// [C, H, W] -> [C, D]
  at::Tensor project(const at::Tensor& image, std::int64_t number) const {
    const View view = view_of(number);
    // Lines that are summed over are first, positions along them last.
    const at::Tensor pixels =
        (view.along_rows ? image : image.transpose(1, 2)).contiguous();  // [C, lines, across]
    const std::int64_t lines = pixels.size(1), across = pixels.size(2);
    const double fast = view.along_rows ? view.cosine : view.sine,
                 slow = view.along_rows ? view.sine : view.cosine;
    const double middle = static_cast<double>(across - 1) / 2;
    const at::Tensor offset =
        centred(detectors_).unsqueeze(1) - centred(lines) * slow;  // [D, lines], s - slow
    const at::Tensor first = at::floor(offset / fast + middle);    // [D, lines]
    const at::Tensor line = at::arange(lines, at::kLong) * across;
    at::Tensor sum;
    for (const double step : {0.0, 1.0}) {
      const at::Tensor index = first + step;
      const at::Tensor weight = (1 - (offset - (index - middle) * fast).abs() / view.slope).clamp_min_(0) *
                                index.ge(0).logical_and(index.lt(static_cast<double>(across)));
      const at::Tensor place =
          index.clamp(0, static_cast<double>(across - 1)).to(at::kLong) + line;  // [D, lines]
      const at::Tensor taken = pixels.flatten(1)
                                   .index_select(1, place.flatten().to(image.device()))
                                   .view({pixels.size(0), detectors_, lines});
      const at::Tensor part = (taken * weight.to(image.options())).sum(2);  // [C, D]
      sum = sum.defined() ? sum + part : part;
    }
    return sum.mul_(scale_ / view.slope);
  }

  /// sum over the views of w r, [C, views, D] -> [C, H, W]; w of Joseph's method, or linear interpolation
  /// between detectors.
  at::Tensor back_project(const at::Tensor& r, bool joseph) const {
    at::Tensor image = at::zeros({shape_.channels, shape_.height, shape_.width}, r.options());
    const double middle = static_cast<double>(detectors_ - 1) / 2;
    for (std::int64_t number = 0; number < views_; ++number) {
      const View view = view_of(number);
      const double reach = joseph ? view.slope : 1;
      const at::Tensor place = (centred(shape_.height) * view.sine).unsqueeze(1) +
                               centred(shape_.width) * view.cosine + middle;  // [H, W], in detectors
      const at::Tensor first = at::floor(place);
      const at::Tensor row = r.select(1, number);  // [C, D]
      for (const double step : {0.0, 1.0}) {
        const at::Tensor index = first + step;
        const at::Tensor weight = (1 - (index - place).abs() / reach).clamp_min_(0) / reach;
        const at::Tensor taken = row.index_select(1, index.clamp_max(static_cast<double>(detectors_ - 1))
                                                         .to(at::kLong)
                                                         .flatten()
                                                         .to(r.device()))
                                     .view_as(image);
        image = image + taken * weight.to(r.options());
      }
    }
    return image;
  }

  /// Along the detectors, [C, views, D].
  at::Tensor ramp_filtered(const at::Tensor& y) const {
    std::int64_t length = 64;
    while (length < 2 * detectors_) length *= 2;
    at::Tensor ramp = at::zeros({length}, at::kDouble);
    auto values = ramp.accessor<double, 1>();
    values[0] = 0.25;
    for (std::int64_t n = 1; n < length; n += 2) {
      const auto distance = static_cast<double>(std::min(n, length - n));
      values[n] = -1 / (std::numbers::pi * std::numbers::pi * distance * distance);
    }
    const at::Tensor response = at::real(at::fft_rfft(ramp)).to(y.device());
    return at::fft_irfft(at::fft_rfft(y, length) * response, length).narrow(2, 0, detectors_);
  }

  ImageShape shape_;
  std::int64_t views_, detectors_ = 0;
  double scale_ = 1;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_radon(const OperatorArguments& arguments,
                                                  const OperatorContext& context) {
  constexpr std::int64_t most = 65535;
  const std::int64_t views = arguments.integer(0, "views", 1);
  if (views > most)
    arguments.refuse(formatted("views is {}", views), formatted("it can be {} at most", most));
  return std::make_shared<Radon>(context.image_shape, views);
}

}  // namespace dwgf
