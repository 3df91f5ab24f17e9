// Blurs that a spec leaves open.
#include "operators/open_blur.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

at::Tensor picture(const ImageShape& shape) {
  at::Tensor x = at::arange(shape.channels * shape.height * shape.width, at::kDouble);
  return (x * 0.7).sin().view({1, shape.channels, shape.height, shape.width});
}

TEST(OpenBlur, WithItsParametersIsTheOperatorOfThem) {
  const OperatorContext context{{1, 16, 18}};
  struct Case {
    const char *open, *closed;
    std::vector<double> value;
  };
  for (const Case& one : {Case{"blur:7,?", "blur:7,1.3", {1.3}}, Case{"motion:?,?", "motion:9,30", {9, 30}},
                          Case{"motion:7,?", "motion:7,110", {110}},
                          Case{"motion:?11,20", "motion:5,20", {5}}, Case{"defocus:?4", "defocus:2.5", {2.5}},
                          Case{"mean:2 | blur:5,?0.5..2,circular", "mean:2 | blur:5,1,circular", {1}},
                          Case{"defocus:?2,zero | mean:2", "defocus:1.5,zero | mean:2", {1.5}}}) {
    SCOPED_TRACE(one.open);
    const OpenBlur open = open_blur(one.open, context);
    EXPECT_EQ(open.blur.unknowns(), one.value.size());
    const auto closed = make_operator(one.closed, context);
    const at::Tensor x = picture(context.image_shape);
    EXPECT_TRUE(at::allclose(open.with(open.kernel(one.value))->apply(x), closed->apply(x), 1e-9, 1e-12));
    EXPECT_EQ(make_operator(one.open, context)->measurement_shape(), closed->measurement_shape());
  }
}

TEST(OpenBlur, BeginsWithAKernelOfTheSimplex) {
  const OpenBlur open = open_blur("kernel:?7,zero,smooth=0.5,sparse", {{3, 12, 12}});
  EXPECT_EQ(open.blur.border, Border::zero);
  EXPECT_EQ(open.blur.smooth, 0.5);
  EXPECT_GT(open.blur.sparse, 0.0);
  const at::Tensor kernel = open.kernel(open.start());
  EXPECT_EQ(kernel.sizes(), at::IntArrayRef({7, 7}));
  EXPECT_NEAR(kernel.sum().item<double>(), 1.0, 1e-12);
  EXPECT_GT(kernel.min().item<double>(), 0.0);
}

TEST(OpenBlur, SaysWhatIsWrong) {
  const auto text_of = [](const char* spec) -> std::string {
    try {
      open_blur(spec, {{1, 8, 8}});
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(text_of("kernel:?8").find("odd"), std::string::npos);
  EXPECT_NE(text_of("kernel:?"), "");
  EXPECT_NE(text_of("kernel:?17").find("too large"), std::string::npos);
  EXPECT_NE(text_of("kernel:?5 | hdr").find("not linear"), std::string::npos);
  EXPECT_NE(text_of("kernel:?5 | blur:3,?").find("more than one"), std::string::npos);
  EXPECT_NE(text_of("mean:?").find("for a blur"), std::string::npos);
  EXPECT_NE(text_of("blur:5,?2..1").find("least"), std::string::npos);
  EXPECT_NE(text_of("blur:5,?x").find("bounds"), std::string::npos);
  EXPECT_NE(text_of("defocus:?,?"), "");
  EXPECT_EQ(text_of("kernel:?15"), "");
}

}  // namespace
}  // namespace dwgf
