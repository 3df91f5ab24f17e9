// The cheap inverses that a restoration is compared with.
#include <operators/operator_cases.hpp>

#include "operators/baselines/harmonic_fill.hpp"

namespace dwgf::test {
namespace {

/// a + b row + c column: harmonic, but its slope is not zero at the image's border.
at::Tensor plane(const ImageShape& shape) {
  const at::Tensor rows = at::arange(shape.height, at::kDouble).view({1, 1, -1, 1});
  const at::Tensor columns = at::arange(shape.width, at::kDouble).view({1, 1, 1, -1});
  return (0.3 + 0.02 * rows - 0.01 * columns).expand({1, shape.channels, -1, -1}).contiguous();
}

TEST(HarmonicFill, ContinuesAPlaneIntoABox) {
  const ImageShape shape{2, 20, 30};
  const auto forward = make({"box:4,5,12,20", shape});
  const at::Tensor x = plane(shape);
  EXPECT_EQ(forward->trivial_inverse_name(), "harmonic fill");
  EXPECT_LT(largest_difference(forward->trivial_inverse(forward->apply(x), 0.05), x), 1e-8);
}

TEST(HarmonicFill, SolvesLaplacesEquation) {
  const ImageShape shape{3, 17, 13};
  const auto forward = make({"random:0.8", shape});
  const at::Tensor y = forward->apply(image_batch(2, shape, 1)), mask = forward->observed().to(at::kDouble);
  const at::Tensor u = forward->trivial_inverse(y, 0.05);
  EXPECT_TRUE(at::equal(u * mask, y));
  // Replicated borders are the zero normal derivative.
  const at::Tensor padded = at::replication_pad2d(u, {1, 1, 1, 1});
  const auto shifted = [&](std::int64_t row, std::int64_t column) {
    return padded.narrow(2, 1 + row, shape.height).narrow(3, 1 + column, shape.width);
  };
  const at::Tensor laplacian = 4 * u - shifted(-1, 0) - shifted(1, 0) - shifted(0, -1) - shifted(0, 1);
  EXPECT_LT((laplacian * (1 - mask)).abs().max().item<double>(), 1e-8);
}

TEST(HarmonicFill, CarriesOneValueEverywhereAndLeavesAnUnseenChannelAtZero) {
  at::Tensor observed = at::zeros({2, 5, 6});
  observed[0][2][3] = 1;
  const at::Tensor filled = harmonic_fill(at::full({1, 2, 5, 6}, 0.7, at::kFloat), observed);
  EXPECT_EQ(filled.scalar_type(), at::kFloat);
  EXPECT_LT((filled[0][0] - 0.7).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(filled[0][1].abs().max().item<double>(), 0);
}

TEST(TrivialInverse, OfSuperResolutionIsBicubic) {
  const ImageShape shape{3, 16, 24};
  for (const char* spec : {"mean:4", "bicubic:4", "identity | mean:4"}) {
    const auto forward = make({spec, shape});
    EXPECT_EQ(forward->trivial_inverse_name(), "bicubic") << spec;
    const at::Tensor y = normals(2, forward->measurement_shape(), 1);
    const at::Tensor expected = at::_upsample_bicubic2d_aa(y, {16, 24}, /*align_corners=*/false);
    EXPECT_LT(largest_difference(forward->trivial_inverse(y, 0.05), expected), 1e-13) << spec;
  }
}

TEST(TrivialInverse, IsExactWhereNothingIsLost) {
  const ImageShape shape{3, 4, 6};
  const at::Tensor x = image_batch(1, shape, 1).clamp(-0.5, 0.5),
                   grey = x.narrow(1, 0, 1).expand({-1, 3, -1, -1});
  const auto hdr = make({"hdr", shape});
  EXPECT_LT(largest_difference(hdr->trivial_inverse(hdr->apply(x), 0), x), 1e-15);
  const auto luma = make({"grey", shape});
  EXPECT_LT(largest_difference(luma->trivial_inverse(luma->apply(grey), 0), grey), 1e-15);
}

/// A smooth bump that vanishes at the border: any border rule is right for it.
at::Tensor bump(const ImageShape& shape, double width) {
  const auto axis = [&](std::int64_t n) {
    const at::Tensor t = at::arange(n, at::kDouble) - static_cast<double>(n - 1) / 2;
    return at::exp(-t.square() / (2 * width * width));
  };
  return at::outer(axis(shape.height), axis(shape.width))
      .expand({1, shape.channels, shape.height, shape.width})
      .contiguous();
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

TEST(TrivialInverse, WienerFilterUndoesABlurWithoutNoiseAndShrinksUnderIt) {
  const ImageShape shape{3, 31, 44};
  const at::Tensor x = bump(shape, 4) - 0.3;
  for (const char* spec : {"blur:5,0.8", "blur:5,0.8,circular", "motion:5,30", "motion:5,120,circular"}) {
    const auto forward = make({spec, shape});
    const at::Tensor y = forward->apply(x);
    EXPECT_LT(relative_error(forward->trivial_inverse(y, 0), x), 2e-3) << spec;
    // With much noise the spectrum is damped towards the mean.
    EXPECT_LT(forward->trivial_inverse(y, 1).var().item<double>(), 0.1 * y.var().item<double>()) << spec;
  }
}

TEST(TrivialInverse, FilteredBackProjectionRecoversWhatManyViewsSaw) {
  for (const ImageShape& shape : {ImageShape{1, 32, 32}, ImageShape{3, 25, 40}}) {
    const at::Tensor x = bump(shape, 4);
    const auto forward = make({"radon:90", shape});
    EXPECT_LT(relative_error(forward->trivial_inverse(forward->apply(x), 0), x), 0.03);
  }
}

TEST(TrivialInverse, ZeroFilledInverseIsExactWithoutAMask) {
  const ImageShape shape{3, 9, 14};
  const auto full = make_operator(
      "fourier:all", {.image_shape = shape, .load_array = [](const std::string&, const std::string&) {
                        return at::ones({9, 14});
                      }});
  const at::Tensor x = image_batch(2, shape, 1);
  EXPECT_LT(largest_difference(full->trivial_inverse(full->apply(x), 0), x), 1e-14);
}

TEST(TrivialInverse, LeastSquaresIsThePseudoInverse) {
  const ImageShape shape{1, 5, 6};
  for (const std::int64_t rows : {12, 30, 50}) {
    const auto forward = make({formatted("matrix:{}x30", rows), shape});
    const at::Tensor y = normals(2, {rows}, 3);
    const at::Tensor expected = at::mm(y, at::pinverse(array_of("matrix", formatted("{}x30", rows))).t());
    EXPECT_LT(largest_difference(forward->trivial_inverse(y, 0).flatten(1), expected), 1e-5) << rows;
  }
}

TEST(TrivialInverse, IsNamedWhereItIsDefinedAndFitsTheImage) {
  for (const OperatorCase& one : all_cases()) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(1, one.shape, 1);
    const at::Tensor inverse = forward->trivial_inverse(forward->apply(x), 0.05);
    EXPECT_EQ(inverse.defined(), !forward->trivial_inverse_name().empty()) << one;
    if (inverse.defined()) {
      EXPECT_EQ(inverse.sizes(), x.sizes()) << one;
    }
  }
  EXPECT_EQ(make({"box:0,0,2,2 | blur:3,1 | mean:3", {1, 9, 15}})->trivial_inverse_name(),
            "bicubic, Wiener filter, harmonic fill");
  EXPECT_EQ(make({"mean:3 | phase", {1, 9, 24}})->trivial_inverse_name(), "hybrid input-output, bicubic");
}

TEST(TrivialInverse, HybridInputOutputFindsAnImageOfTheMeasuredMagnitudes) {
  const ImageShape shape{2, 16, 16};
  const auto forward = make({"phase:8", shape});
  at::Tensor x = at::full({2, 2, 16, 16}, -1.0, at::kDouble);
  x.narrow(2, 3, 8).narrow(3, 5, 6).copy_(image_batch(2, {2, 8, 6}, 4).clamp(-1, 1));
  const at::Tensor y = forward->apply(x), found = forward->trivial_inverse(y, 0.05);
  EXPECT_LE(found.abs().max().item<double>(), 1);
  EXPECT_LT(relative_error(forward->apply(found), y), 0.05);
  EXPECT_TRUE(at::equal(found[1], forward->trivial_inverse(y.narrow(0, 1, 1), 0.05)[0]));
}

}  // namespace
}  // namespace dwgf::test
