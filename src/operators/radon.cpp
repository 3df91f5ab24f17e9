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
// by the same w, so the adjoint is exact. Time is views H W. The places and weights that a view gathers by
// are made once where those of all views take at most 64 MiB on a CPU, 2 GiB on another device, and in every
// call beyond that.
//
// The trivial inverse is the filtered back-projection with the ramp filter of Ram and Lak, band-limited in
// space (Kak and Slaney, Principles of computerized tomographic imaging, 1988, eq. 61).
//
// scikit-image's `radon` turns the image by bilinear interpolation instead, does not divide, has a column
// for a view, and means -t by the angle t: see tools/make_operator_golden.py.
//
// `radon:views[,from,to]`, 1 to 65,535 views: the angles are from + k (to - from) / views, of 0 to 180
// degrees unless said otherwise. `radon:FILE`: angles [views] in degrees (.npy), or `@`. The views of the
// filtered back-projection weigh pi / views where they are of 180 degrees or more, their own share of less;
// those of a file half the angles to both neighbours, modulo 180 degrees and at most the double of the
// median one, so that a missing wedge is left out and not filled by its borders.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"
#include "operators/made_once.hpp"
#include "operators/operator_arrays.hpp"

namespace dwgf {
namespace {

/// What gathers one view: for each of the two neighbours, from where each value is taken, [n] int32, and its
/// weight.
struct Gather {
  at::Tensor places[2];
  at::Tensor weights[2];
};

/// Angles [radians], and by what the filtered back-projection weighs their views.
struct Angles {
  std::vector<double> angles, weights;
};

/// views angles from `from` to `to` [degrees].
Angles even_angles(std::int64_t views, double from, double to) {
  Angles all;
  const auto count = static_cast<double>(views);
  const bool whole = from == 0 && to == 180;
  const double share = whole ? 1.0 : std::min(std::abs(to - from) / 180, 1.0);
  for (std::int64_t view = 0; view < views; ++view) {
    const auto number = static_cast<double>(view);
    all.angles.push_back(whole ? std::numbers::pi * number / count
                               : (from + number * (to - from) / count) * (std::numbers::pi / 180));
    all.weights.push_back(std::numbers::pi * share / count);
  }
  return all;
}

/// Those of a file [degrees].
Angles own_angles(const at::Tensor& degrees) {
  const std::int64_t views = degrees.numel();
  const double* degree = degrees.const_data_ptr<double>();
  Angles all;
  std::vector<double> turned(static_cast<std::size_t>(views));  // on [0, pi)
  for (std::int64_t view = 0; view < views; ++view) {
    all.angles.push_back(degree[view] * (std::numbers::pi / 180));
    const double rest = std::fmod(degree[view], 180.0);
    turned[static_cast<std::size_t>(view)] = (rest < 0 ? rest + 180 : rest) * (std::numbers::pi / 180);
  }
  std::vector<std::size_t> order(turned.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t view) { return turned[view]; });
  std::vector<double> gaps;  // behind each of them
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double next = k + 1 < order.size() ? turned[order[k + 1]] : turned[order[0]] + std::numbers::pi;
    gaps.push_back(next - turned[order[k]]);
  }
  std::vector<double> sorted = gaps;
  std::ranges::sort(sorted);
  const double most = std::max(2 * sorted[sorted.size() / 2], std::numbers::pi / 65536);
  all.weights.resize(turned.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double before = gaps[(k + gaps.size() - 1) % gaps.size()];
    all.weights[order[k]] = (std::min(before, most) + std::min(gaps[k], most)) / 2;
  }
  return all;
}

class Radon final : public LinearOperator {
 public:
  Radon(const ImageShape& shape, Angles angles)
      : shape_(shape), angles_(std::move(angles)), views_(static_cast<std::int64_t>(angles_.angles.size())) {
    const auto height = static_cast<double>(shape.height), width = static_cast<double>(shape.width);
    detectors_ = static_cast<std::int64_t>(std::ceil(std::hypot(height, width))) + 1;
    scale_ = 1 / std::max(height, width);
  }

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    const at::Tensor wide = at_least_float(x), turned = wide.transpose(2, 3).contiguous();
    std::vector<std::vector<at::Tensor>> projections(static_cast<std::size_t>(x.size(0)));  // [C, D]
    each_view(projections_, wide, &Radon::projecting, [&](std::int64_t number, const Gather& gather) {
      const View view = view_of(number);
      for (std::int64_t b = 0; b < x.size(0); ++b) {
        const at::Tensor pixels = (view.along_rows ? wide : turned).select(0, b).contiguous();
        projections[static_cast<std::size_t>(b)].push_back(project(pixels, gather).mul_(scale_ / view.slope));
      }
    });
    return image_by_image(x.size(0), [&](std::int64_t b) {
      return at::stack(projections[static_cast<std::size_t>(b)], 1).to(x.scalar_type());  // [C, views, D]
    });
  }

  at::Tensor adjoint(const at::Tensor& r) const override {
    expect_batch(r, measurement_shape(), "a measurement");
    const at::Tensor wide = at_least_float(r);
    std::vector<at::Tensor> images = blank_images(wide);
    each_view(back_projections_, wide, &Radon::back_projecting,
              [&](std::int64_t number, const Gather& gather) { back_project(wide, number, gather, images); });
    return image_by_image(r.size(0), [&](std::int64_t b) {
      return images[static_cast<std::size_t>(b)].mul_(scale_).to(r.scalar_type());
    });
  }

  std::vector<std::int64_t> measurement_shape() const override {
    return {shape_.channels, views_, detectors_};
  }

  at::Tensor trivial_inverse(const at::Tensor& y, double) const override {
    const at::Tensor filtered = image_by_image(y.size(0), [&](std::int64_t b) {
      return ramp_filtered(y.select(0, b).to(at::kDouble));
    });  // [B, C, views, D]
    std::vector<at::Tensor> images = blank_images(filtered);
    const std::vector<double>& weights = angles_.weights;
    const bool even = std::ranges::count(weights, weights.front()) == std::ssize(weights);
    for (std::int64_t view = 0; view < views_; ++view) {
      Gather gather = interpolating(filtered, view);
      if (!even)
        for (at::Tensor& weight : gather.weights) weight.mul_(weights[static_cast<std::size_t>(view)]);
      back_project(filtered, view, gather, images);
    }
    return image_by_image(y.size(0), [&](std::int64_t b) {
      return images[static_cast<std::size_t>(b)]
          .mul_((even ? weights.front() : 1.0) / scale_)
          .to(y.scalar_type());  // [C, H, W]
    });
  }
  std::string trivial_inverse_name() const override { return "filtered back-projection"; }

 private:
  using Gathers = MadeOnce<std::vector<Gather>>;

  struct View {
    double cosine, sine, slope;
    bool along_rows;  ///< one pixel a row is looked for, and its neighbour
  };

  View view_of(std::int64_t view) const {
    const double angle = angles_.angles[static_cast<std::size_t>(view)];
    const double cosine = std::cos(angle), sine = std::sin(angle);
    return {cosine, sine, std::max(std::abs(cosine), std::abs(sine)), std::abs(cosine) >= std::abs(sine)};
  }

  static at::Tensor centred(std::int64_t count) {
    return at::arange(count, at::kDouble) - static_cast<double>(count - 1) / 2;
  }

  /// Whether what all views gather by, in both directions, is to be kept.
  bool keeps_gathers(const at::Tensor& like) const {
    constexpr double on_cpu = 0x1p26, elsewhere = 0x1p31;
    const auto of = [](std::int64_t count) { return static_cast<double>(count); };
    const double values = of(views_) * (of(detectors_) * of(std::max(shape_.height, shape_.width)) +
                                        of(shape_.height) * of(shape_.width));
    const double bytes = 2 * values * static_cast<double>(sizeof(std::int32_t) + like.element_size());
    return bytes <= (like.is_cpu() ? on_cpu : elsewhere);
  }

  /// f(view, what `make` makes for it) for all views in their order, in the type and on the device of `like`.
  template <class F>
  void each_view(const Gathers& kept, const at::Tensor& like,
                 Gather (Radon::*make)(const at::Tensor&, std::int64_t) const, const F& f) const {
    if (!keeps_gathers(like)) {
      for (std::int64_t view = 0; view < views_; ++view) f(view, (this->*make)(like, view));
      return;
    }
    const std::vector<Gather>& gathers = kept.like(like, [&] {
      std::vector<Gather> all;
      for (std::int64_t view = 0; view < views_; ++view) all.push_back((this->*make)(like, view));
      return all;
    });
    for (std::int64_t view = 0; view < views_; ++view) f(view, gathers[static_cast<std::size_t>(view)]);
  }

  /// From [C, lines, across] to [C, D]: weights [D, lines].
  Gather projecting(const at::Tensor& like, std::int64_t number) const {
    const View view = view_of(number);
    // Lines that are summed over are first, positions along them last.
    const std::int64_t lines = view.along_rows ? shape_.height : shape_.width,
                       across = view.along_rows ? shape_.width : shape_.height;
    const double fast = view.along_rows ? view.cosine : view.sine,
                 slow = view.along_rows ? view.sine : view.cosine;
    const double middle = static_cast<double>(across - 1) / 2;
    const at::Tensor offset =
        centred(detectors_).unsqueeze(1) - centred(lines) * slow;  // [D, lines], s - slow
    const at::Tensor first = at::floor(offset / fast + middle);    // [D, lines]
    const at::Tensor line = at::arange(lines, at::kLong) * across;
    Gather gather;
    for (const int step : {0, 1}) {
      const at::Tensor index = first + static_cast<double>(step);
      gather.weights[step] = ((1 - (offset - (index - middle) * fast).abs() / view.slope).clamp_min_(0) *
                              index.ge(0).logical_and(index.lt(static_cast<double>(across))))
                                 .to(like.options());
      const at::Tensor place = index.clamp(0, static_cast<double>(across - 1)).to(at::kLong) + line;
      gather.places[step] = place.flatten().to(at::kInt).to(like.device());
    }
    return gather;
  }

  /// From [C, D] to [C, H, W]: weights [H, W], of neighbours that are at most `reach` away.
  Gather spreading(const at::Tensor& like, const View& view, double reach) const {
    const double middle = static_cast<double>(detectors_ - 1) / 2;
    const at::Tensor place = (centred(shape_.height) * view.sine).unsqueeze(1) +
                             centred(shape_.width) * view.cosine + middle;  // [H, W], in detectors
    const at::Tensor first = at::floor(place);
    Gather gather;
    for (const int step : {0, 1}) {
      const at::Tensor index = first + static_cast<double>(step);
      gather.weights[step] = ((1 - (index - place).abs() / reach).clamp_min_(0) / reach).to(like.options());
      gather.places[step] =
          index.clamp_max(static_cast<double>(detectors_ - 1)).to(at::kInt).flatten().to(like.device());
    }
    return gather;
  }
  /// By Joseph's method.
  Gather back_projecting(const at::Tensor& like, std::int64_t view) const {
    return spreading(like, view_of(view), view_of(view).slope);
  }
  /// By linear interpolation between detectors.
  Gather interpolating(const at::Tensor& like, std::int64_t view) const {
    return spreading(like, view_of(view), 1);
  }

  /// [C, lines, across] -> [C, D]
  at::Tensor project(const at::Tensor& pixels, const Gather& gather) const {
    const at::Tensor flat = pixels.flatten(1);
    const auto part = [&](int step) {
      const at::Tensor& weights = gather.weights[step];
      const at::Tensor taken = flat.index_select(1, gather.places[step]);
      return (taken.view({pixels.size(0), weights.size(0), weights.size(1)}) * weights).sum(2);
    };
    const at::Tensor first = part(0);
    return first + part(1);
  }

  std::vector<at::Tensor> blank_images(const at::Tensor& like) const {
    std::vector<at::Tensor> images;
    for (std::int64_t b = 0; b < like.size(0); ++b)
      images.push_back(at::zeros({shape_.channels, shape_.height, shape_.width}, like.options()));
    return images;
  }

  /// Adds w r of a view to every image [C, H, W], r [B, C, views, D].
  static void back_project(const at::Tensor& r, std::int64_t view, const Gather& gather,
                           std::vector<at::Tensor>& images) {
    for (std::size_t b = 0; b < images.size(); ++b) {
      const at::Tensor row = r.select(0, static_cast<std::int64_t>(b)).select(1, view);  // [C, D]
      for (const int step : {0, 1}) {
        const at::Tensor taken = row.index_select(1, gather.places[step]).view_as(images[b]);
        images[b] = images[b] + taken * gather.weights[step];
      }
    }
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
  Angles angles_;
  std::int64_t views_, detectors_ = 0;
  double scale_ = 1;
  Gathers projections_, back_projections_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_radon(const OperatorArguments& arguments,
                                                  const OperatorContext& context) {
  constexpr std::int64_t most = 65535;
  const auto require_few = [&](std::int64_t views) {
    if (views > most)
      arguments.refuse(formatted("views is {}", views), formatted("it can be {} at most", most));
  };
  if (names_angles(arguments.text(0))) {
    arguments.expect_count(1, 1);
    const at::Tensor degrees = load_array(arguments, context, "angles").contiguous();
    if (degrees.dim() != 1 || degrees.numel() < 1)
      arguments.refuse(formatted("the angles have the shape {}", degrees.sizes()),
                       "they must be [views], in degrees");
    require_few(degrees.numel());
    return std::make_shared<Radon>(context.image_shape, own_angles(degrees));
  }
  const std::int64_t views = arguments.integer(0, "views", 1);
  require_few(views);
  if (arguments.count() == 2) arguments.refuse("the last angle is missing", "write `radon:views,from,to`");
  const bool limited = arguments.count() == 3;
  const double from = limited ? arguments.number(1, "the first angle") : 0,
               to = limited ? arguments.number(2, "the last angle") : 180;
  if (from == to) arguments.refuse("the angles are all one", "give two different ones, in degrees");
  return std::make_shared<Radon>(context.image_shape, even_angles(views, from, to));
}

}  // namespace dwgf
