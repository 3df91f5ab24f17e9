// What JPEG compression of a quality leaves of an image (ITU-T T.81, baseline, no chroma subsampling):
// v = 127.5 (x + 1) - 128, to Y Cb Cr for 3 channels (JFIF), 8 x 8 blocks of each plane through the
// orthonormal cosine transform, coefficients q round(c / q) with ties to even, and back, clamped to [-1, 1].
// q are the tables of T.81's annex K (luma for the first plane, chroma for the others), scaled as the
// Independent JPEG Group's library scales them by quality:
//
//     q = clamp(floor((table s + 50) / 100), 1, 255),   s = 5000 / quality below 50, else 200 - 2 quality.
//
// Sides that 8 does not divide are continued by their last row and column. The decoder's rounding to 8 bit
// is left out.
//
// A'(x)^T r is that of the straight-through estimator, r: without the rounding, A is the identity on [-1,
// 1]. The trivial inverse is y itself.
//
// `jpeg:quality`, 1 to 100
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"
#include "operators/typed_constant.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kBlock = 8;
using Table = std::array<int, kBlock * kBlock>;

// ITU-T T.81, tables K.1 and K.2.
constexpr Table kLumaTable{16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
                           14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
                           18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
                           49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr Table kChromaTable{17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
                             24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                             99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                             99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

at::Tensor scaled_table(const Table& table, std::int64_t quality) {
  const std::int64_t scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  at::Tensor steps = at::empty({kBlock, kBlock}, at::kDouble);
  auto out = steps.accessor<double, 2>();
  for (std::int64_t i = 0; i < kBlock * kBlock; ++i) {
    const std::int64_t step = (table[static_cast<std::size_t>(i)] * scale + 50) / 100;
    out[i / kBlock][i % kBlock] = static_cast<double>(std::clamp<std::int64_t>(step, 1, 255));
  }
  return steps;
}

/// The orthonormal cosine transform of 8 values, [8, 8].
at::Tensor cosine_matrix() {
  at::Tensor matrix = at::empty({kBlock, kBlock}, at::kDouble);
  auto out = matrix.accessor<double, 2>();
  for (std::int64_t k = 0; k < kBlock; ++k) {
    for (std::int64_t n = 0; n < kBlock; ++n) {
      const double angle =
          std::numbers::pi * (2.0 * static_cast<double>(n) + 1) * static_cast<double>(k) / 16;
      out[k][n] = (k == 0 ? std::sqrt(0.125) : 0.5) * std::cos(angle);
    }
  }
  return matrix;
}

/// JFIF's Y Cb Cr from R G B, both around 0, [3, 3].
at::Tensor colour_matrix() {
  return at::tensor(
             {0.299, 0.587, 0.114, -0.299 / 1.772, -0.587 / 1.772, 0.5, 0.5, -0.587 / 1.402, -0.114 / 1.402},
             at::kDouble)
      .view({3, 3});
}

at::Tensor table_of_channels(std::int64_t channels, std::int64_t quality) {
  std::vector<at::Tensor> tables{scaled_table(kLumaTable, quality)};
  while (static_cast<std::int64_t>(tables.size()) < channels)
    tables.push_back(scaled_table(channels == 3 ? kChromaTable : kLumaTable, quality));
  return at::stack(tables).view({channels, 1, 1, kBlock, kBlock});
}

class Jpeg final : public ForwardOperator {
 public:
  Jpeg(const ImageShape& shape, std::int64_t quality)
      : shape_(shape),
        steps_(table_of_channels(shape.channels, quality)),
        cosine_(cosine_matrix()),
        to_colour_(colour_matrix()),
        from_colour_(at::linalg_inv(colour_matrix())) {}

  at::Tensor apply(const at::Tensor& x) const override {
    expect_batch(x, shape_, "an image");
    return image_by_image(x.size(0), [&](std::int64_t b) {
      const at::Tensor image = at_least_float(x.select(0, b));
      return compressed(image).to(x.scalar_type());
    });
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
  at::Tensor compressed(const at::Tensor& image) const {
    const std::int64_t rows = (shape_.height + kBlock - 1) / kBlock,
                       columns = (shape_.width + kBlock - 1) / kBlock;
    at::Tensor planes = image.clamp(-1, 1).add(1).mul_(127.5).sub_(128);  // [C, H, W]
    if (shape_.channels == 3) planes = in_colours(to_colour_, planes);
    planes =
        at::replication_pad2d(planes, {0, columns * kBlock - shape_.width, 0, rows * kBlock - shape_.height});
    const at::Tensor cosine = cosine_.like(image), steps = steps_.like(image);
    const at::Tensor blocks = planes.view({shape_.channels, rows, kBlock, columns, kBlock})
                                  .transpose(2, 3)
                                  .contiguous();  // [C, rows, columns, 8, 8]
    const at::Tensor coefficients = at::matmul(at::matmul(cosine, blocks), cosine.t());
    const at::Tensor kept = at::round(coefficients / steps) * steps;
    planes = at::matmul(at::matmul(cosine.t(), kept), cosine)
                 .transpose(2, 3)
                 .reshape({shape_.channels, rows * kBlock, columns * kBlock})
                 .narrow(1, 0, shape_.height)
                 .narrow(2, 0, shape_.width);
    if (shape_.channels == 3) planes = in_colours(from_colour_, planes);
    return planes.add(128).div_(127.5).sub_(1).clamp_(-1, 1);  // [C, H, W]
  }

  static at::Tensor in_colours(const TypedConstant& matrix, const at::Tensor& planes) {
    return at::mm(matrix.like(planes), planes.flatten(1)).view_as(planes);
  }

  ImageShape shape_;
  TypedConstant steps_;                    // [C, 1, 1, 8, 8]
  TypedConstant cosine_;                   // [8, 8]
  TypedConstant to_colour_, from_colour_;  // [3, 3]
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_jpeg(const OperatorArguments& arguments,
                                                 const OperatorContext& context) {
  const std::int64_t quality = arguments.integer(0, "quality", 1);
  if (quality > 100) arguments.refuse(formatted("quality is {}", quality), "it can be 100 at most");
  return std::make_shared<Jpeg>(context.image_shape, quality);
}

}  // namespace dwgf
