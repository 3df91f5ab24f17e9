// The cheap inverses that a restoration is compared with.
#include <operators/operator_cases.hpp>

#include <dwgf/operators/harmonic_fill.hpp>

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
  EXPECT_LT(largest_difference(forward->trivial_inverse(forward->apply(x)), x), 1e-8);
}

TEST(HarmonicFill, SolvesLaplacesEquation) {
  const ImageShape shape{3, 17, 13};
  const auto forward = make({"random:0.8", shape});
  const at::Tensor y = forward->apply(image_batch(2, shape, 1)), mask = forward->observed().to(at::kDouble);
  const at::Tensor u = forward->trivial_inverse(y);
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
  for (const char* spec : {"mean:4", "bicubic:4", "blur:3,1 | mean:4"}) {
    const auto forward = make({spec, shape});
    EXPECT_EQ(forward->trivial_inverse_name(), "bicubic") << spec;
    const at::Tensor y = normals(2, forward->measurement_shape(), 1);
    const at::Tensor expected = at::_upsample_bicubic2d_aa(y, {16, 24}, /*align_corners=*/false);
    EXPECT_LT(largest_difference(forward->trivial_inverse(y), expected), 1e-13) << spec;
  }
}

TEST(TrivialInverse, IsExactWhereNothingIsLost) {
  const ImageShape shape{3, 4, 6};
  const at::Tensor x = image_batch(1, shape, 1).clamp(-0.5, 0.5),
                   grey = x.narrow(1, 0, 1).expand({-1, 3, -1, -1});
  const auto hdr = make({"hdr", shape});
  EXPECT_LT(largest_difference(hdr->trivial_inverse(hdr->apply(x)), x), 1e-15);
  const auto luma = make({"grey", shape});
  EXPECT_LT(largest_difference(luma->trivial_inverse(luma->apply(grey)), grey), 1e-15);
}

TEST(TrivialInverse, IsNamedWhereItIsDefinedAndFitsTheImage) {
  std::vector<OperatorCase> cases = nonlinear_cases();
  for (const OperatorCase& one : linear_cases()) cases.push_back(one);
  for (const OperatorCase& one : cases) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(1, one.shape, 1);
    const at::Tensor inverse = forward->trivial_inverse(forward->apply(x));
    EXPECT_EQ(inverse.defined(), !forward->trivial_inverse_name().empty()) << one;
    if (inverse.defined()) {
      EXPECT_EQ(inverse.sizes(), x.sizes()) << one;
    }
  }
  EXPECT_EQ(make({"box:0,0,2,2 | blur:3,1 | mean:3", {1, 9, 15}})->trivial_inverse_name(),
            "bicubic, harmonic fill");
  EXPECT_EQ(make({"mean:3 | phase", {1, 9, 24}})->trivial_inverse_name(), "");
}

}  // namespace
}  // namespace dwgf::test
