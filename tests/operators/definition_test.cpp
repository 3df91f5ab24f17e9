// Every operator against its definition, computed by other means (tools/make_operator_golden.py) or by hand.
#include <fstream>

#include <nlohmann/json.hpp>
#include <operators/operator_cases.hpp>

#include <dwgf/operators/bicubic.hpp>
#include <dwgf/operators/composition.hpp>

namespace dwgf::test {
namespace {

at::Tensor tensor_of(const nlohmann::json& values, std::vector<std::int64_t> shape) {
  shape.insert(shape.begin(), 1);
  return at::tensor(values.get<std::vector<double>>(), at::kDouble).view(shape);
}

class Definition : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(DWGF_TEST_DATA "/operators/operators.json");
    ASSERT_TRUE(file.good());
    golden = nlohmann::json::parse(file);
    const auto sizes = golden["shape"].get<std::vector<std::int64_t>>();
    context = {
        .image_shape = {sizes[0], sizes[1], sizes[2]}, .seed = golden["seed"], .image = golden["image"]};
    x = tensor_of(golden["x"], sizes);
  }

  nlohmann::json golden;
  OperatorContext context;
  at::Tensor x;
};

TEST_F(Definition, HoldsForEveryOperator) {
  for (const auto& [spec, expected] : golden["operators"].items()) {
    const auto forward = make_operator(spec, context);
    const auto shape = expected["shape"].get<std::vector<std::int64_t>>();
    EXPECT_EQ(forward->measurement_shape(), shape) << spec;
    // PyTorch keeps its own interpolation weights in double too, but sums them in another order.
    const double tolerance = 1e-14;
    EXPECT_LE(largest_difference(forward->apply(x), tensor_of(expected["y"], shape)), tolerance) << spec;
  }
}

TEST_F(Definition, OfBicubicIsPillows) {
  const at::Tensor first = x.narrow(1, 0, 1);
  for (const auto& [name, expected] : golden["pillow"].items()) {
    const auto shape = expected["shape"].get<std::vector<std::int64_t>>();
    EXPECT_LT(largest_difference(bicubic_resize(first, shape[1], shape[2]), tensor_of(expected["y"], shape)),
              1e-6)
        << name;
  }
}

TEST(Bicubic, IsTorchsAntialiasedInterpolation) {
  for (const ImageShape& shape : {ImageShape{3, 24, 40}, ImageShape{1, 8, 16}}) {
    for (const std::int64_t factor : {2, 4, 8}) {
      const OperatorCase one{"bicubic:" + std::to_string(factor), shape};
      const at::Tensor x = image_batch(2, shape, 1);
      const at::Tensor expected = at::_upsample_bicubic2d_aa(x, {shape.height / factor, shape.width / factor},
                                                             /*align_corners=*/false);
      EXPECT_LT(largest_difference(make(one)->apply(x), expected), 1e-13) << one;
    }
  }
}

TEST(Bicubic, MatrixKeepsConstants) {
  for (const auto& [from, to] : {std::pair{32, 8}, {8, 32}, {7, 7}, {3, 2}, {1, 5}})
    EXPECT_LT((bicubic_matrix(from, to).sum(1) - 1).abs().max().item<double>(), 1e-15)
        << from << " to " << to;
  EXPECT_TRUE(at::equal(bicubic_matrix(7, 7), at::eye(7, at::kDouble)));
}

TEST(RandomInpainting, DrawsItsMaskFromTheAddressedStream) {
  // The first uniforms at (5, 11, 0, 0, MASK) are .112, .412, .254, .934, .486, .071, .106.
  const auto forward = make({"random:0.3", {1, 1, 7}});
  EXPECT_TRUE(at::equal(forward->observed().reshape({-1}), at::tensor({0, 1, 0, 1, 1, 0, 0}, at::kFloat)));
  EXPECT_EQ(forward->observed_count(), 3);
  EXPECT_EQ(forward->observed().scalar_type(), at::kFloat);
  const ImageShape shape{3, 64, 64};
  const auto first = make_operator("random:0.7", {shape, 5, 11}),
             image = make_operator("random:0.7", {shape, 5, 12});
  const auto seed = make_operator("random:0.7", {shape, 6, 11});
  EXPECT_FALSE(at::equal(first->observed(), image->observed()));
  EXPECT_FALSE(at::equal(first->observed(), seed->observed()));
  EXPECT_NEAR(first->observed().mean().item<double>(), 0.3, 0.02);
}

TEST(BoxInpainting, LeavesOutTheBoxOnly) {
  const auto forward = make({"box:1,2,3,4", {2, 6, 8}});
  at::Tensor expected = at::ones({2, 6, 8});
  expected.slice(1, 1, 4).slice(2, 2, 6).zero_();
  EXPECT_TRUE(at::equal(forward->observed(), expected));
  EXPECT_EQ(forward->observed_count(), 2 * (6 * 8 - 3 * 4));
}

TEST(Observed, IsUndefinedWhereEverythingIs) {
  for (const char* spec : {"identity", "mean:3", "blur:3,1", "hdr", "phase", "mean:3 | hdr"}) {
    const OperatorCase one{spec, {1, 9, 15}};
    const auto forward = make(one);
    EXPECT_FALSE(forward->observed().defined()) << one;
    EXPECT_EQ(forward->observed_count(), forward->apply(image_batch(1, one.shape, 1)).numel()) << one;
  }
}

TEST(Composition, IsApplyingInTurn) {
  const ImageShape shape{3, 12, 18};
  const at::Tensor x = image_batch(2, shape, 1);
  const at::Tensor blurred = make({"blur:5,1.2", shape})->apply(x);
  const at::Tensor small = make({"mean:3", shape})->apply(blurred);
  const at::Tensor expected = make({"hdr", {3, 4, 6}})->apply(small);
  const auto forward = make({" blur: 5, 1.2 |mean:3|hdr ", shape});
  EXPECT_TRUE(at::equal(forward->apply(x), expected));
  EXPECT_FALSE(forward->is_linear());
  EXPECT_EQ(forward->measurement_shape(), (std::vector<std::int64_t>{3, 4, 6}));
  EXPECT_TRUE(make({"blur:5,1.2 | mean:3", shape})->is_linear());
}

TEST(Composition, KeepsUnobservedWhatNothingMixes) {
  const ImageShape shape{1, 6, 6};
  const at::Tensor box = make({"box:0,0,2,2", shape})->observed(),
                   other = make({"box:3,3,2,2", shape})->observed();
  EXPECT_TRUE(at::equal(make({"box:0,0,2,2 | hdr | identity", shape})->observed(), box));
  EXPECT_TRUE(at::equal(make({"box:0,0,2,2 | box:3,3,2,2", shape})->observed(), box * other));
  EXPECT_TRUE(at::equal(make({"blur:3,1 | box:0,0,2,2", shape})->observed(), box));
  EXPECT_FALSE(make({"box:0,0,2,2 | blur:3,1", shape})->observed().defined());
  EXPECT_EQ(make({"mean:2 | box:0,0,1,1", shape})->observed_count(), 8);
}

TEST(DependsOnImage, IsTrueForDrawnMasksOnly) {
  EXPECT_TRUE(depends_on_image("random:0.5"));
  EXPECT_TRUE(depends_on_image("blur:3,1 | random:0.5"));
  EXPECT_FALSE(depends_on_image("blur:3,1 | mean:2"));
}

TEST(DescribeOperators, HasALineForEach) {
  const std::string text = describe_operators();
  for (const char* name :
       {"identity", "box:top", "random:", "mean:r", "bicubic:r", "blur:size,std", "grey", "hdr", "phase"})
    EXPECT_NE(text.find(std::string("  ") + name), std::string::npos) << name;
}

}  // namespace
}  // namespace dwgf::test
