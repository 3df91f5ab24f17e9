// Every operator against its definition, computed by other means (tools/make_operator_golden.py) or by hand.
#include <fstream>
#include <limits>
#include <numbers>

#include <nlohmann/json.hpp>
#include <operators/operator_cases.hpp>

#include "catalogue/operators.hpp"
#include "operators/bicubic.hpp"
#include "operators/defocus.hpp"
#include "operators/kernel_blur.hpp"
#include "operators/operator_arrays.hpp"

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
    context = {.image_shape = {sizes[0], sizes[1], sizes[2]},
               .seed = golden["seed"],
               .image = golden["image"],
               .load_array = [this](const std::string&, const std::string& name) {
                 const nlohmann::json& array = golden["arrays"][name];
                 return tensor_of(array["values"], array["shape"]).squeeze(0);
               }};
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
    // Libraries sum in another order.
    EXPECT_LE(largest_difference(forward->apply(x), tensor_of(expected["y"], shape)), 1e-14) << spec;
  }
}

TEST(ParallelImaging, IsTheFourierTransformOfEachCoilsImage) {
  const ImageShape shape{1, 9, 14};
  const at::Tensor x = image_batch(1, shape, 1);
  const at::Tensor maps = array_of("coils", "2x3x9x14"), mask = array_of("mask", "9x14").to(at::kDouble);
  const at::Tensor seen = at::complex(maps[0], maps[1]) * x[0];  // [3, 9, 14]
  const at::Tensor samples = at::fft_fft2(seen, {}, {-2, -1}, "ortho") * mask;
  const auto forward = make({"sense:2x3x9x14 | fourier:9x14,complex", shape});
  EXPECT_EQ(forward->measurement_shape(), (std::vector<std::int64_t>{2, 3, 9, 14}));
  EXPECT_EQ(forward->observed_count(), 6 * mask.sum().item<std::int64_t>());
  EXPECT_LE(
      largest_difference(forward->apply(x), at::stack({at::real(samples), at::imag(samples)}).unsqueeze(0)),
      1e-14);
  // All samples of all coils tell the image.
  const auto whole = make({"sense:2x3x9x14", shape});
  EXPECT_LE(largest_difference(whole->trivial_inverse(whole->apply(x), 0), x), 1e-13);
}

TEST(Tomography, OfOwnAnglesHasTheViewsOfEvenOnes) {
  const ImageShape shape{1, 12, 9};
  const at::Tensor x = image_batch(1, shape, 1);
  const at::Tensor whole = make({"radon:12", shape})->apply(x);
  EXPECT_LE(largest_difference(make({"radon:6,0,90", shape})->apply(x), whole.narrow(2, 0, 6)), 1e-13);
  EXPECT_LE(largest_difference(make({"radon:3,90,135", shape})->apply(x), whole.narrow(2, 6, 3)), 1e-13);
  const auto own = [&](const at::Tensor& degrees) {
    return make_operator(
        "radon:angles.npy",
        {.image_shape = shape, .load_array = [=](const std::string& kind, const std::string& reference) {
           EXPECT_EQ(kind, "angles");
           EXPECT_EQ(reference, "angles.npy");
           return degrees;
         }});
  };
  // Half a turn more sees the same, from behind; the order does not matter to the back-projection.
  const at::Tensor degrees = at::arange(12, at::kDouble) * 15;
  EXPECT_LE(largest_difference(own(degrees)->apply(x), whole), 1e-13);
  EXPECT_LE(largest_difference(own(degrees + 180)->apply(x), whole.flip(3)), 1e-13);
  const at::Tensor inverse = make({"radon:12", shape})->trivial_inverse(whole, 0);
  EXPECT_LE(largest_difference(own(degrees.flip(0))->trivial_inverse(whole.flip(2), 0), inverse), 1e-12);
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

TEST_F(Definition, OfRadonIsScikitImagesForASmoothImage) {
  // Two rules of interpolation: they agree as far as the image is smooth.
  const nlohmann::json& expected = golden["radon"];
  const auto size = expected["size"].get<std::int64_t>(), views = expected["views"].get<std::int64_t>();
  const auto detectors = expected["detectors"].get<std::int64_t>();
  const at::Tensor image = tensor_of(expected["x"], {1, size, size});
  const at::Tensor found =
      make_operator(formatted("radon:{}", views), {{1, size, size}})->apply(image)[0][0] *
      static_cast<double>(size);
  const at::Tensor theirs = tensor_of(expected["y"], {views, detectors})[0];
  const std::int64_t margin = (found.size(1) - detectors) / 2;
  const at::Tensor ours = found.narrow(1, margin, detectors);
  EXPECT_LT(((ours - theirs).norm() / theirs.norm()).item<double>(), 0.02);
}

TEST_F(Definition, OfJpegIsPillowsToItsRounding) {
  for (const auto& [name, expected] : golden["jpeg"].items()) {
    const auto shape = expected["shape"].get<std::vector<std::int64_t>>();
    const at::Tensor levels = tensor_of(expected["x"], shape), theirs = tensor_of(expected["y"], shape);
    const at::Tensor found =
        make_operator("jpeg:" + name.substr(0, name.find(' ')), {{shape[0], shape[1], shape[2]}})
            ->apply(levels / 127.5 - 1)
            .add(1)
            .mul(127.5);
    // Pillow's codec computes in integers and rounds at every stage, so a coefficient now and then falls on
    // the other side.
    EXPECT_LT((found - theirs).abs().median().item<double>(), 1) << name;
    EXPECT_GT((levels - theirs).abs().median().item<double>(), 2) << name << " hardly compresses";
  }
}

TEST(Radon, OfAGaussianIsAGaussian) {
  // The projection of exp(-|p|^2 / 2 w^2) is sqrt(2 pi) w exp(-s^2 / 2 w^2) in every direction.
  const ImageShape shape{1, 48, 41};
  constexpr double width = 4;
  const at::Tensor rows = at::arange(48, at::kDouble) - 23.5, columns = at::arange(41, at::kDouble) - 20;
  const at::Tensor x = at::outer(at::exp(-rows.square() / (2 * width * width)),
                                 at::exp(-columns.square() / (2 * width * width)))
                           .view({1, 1, 48, 41});
  const at::Tensor y = make({"radon:13", shape})->apply(x)[0][0] * 48;  // [views, D]
  const at::Tensor s = at::arange(y.size(1), at::kDouble) - static_cast<double>(y.size(1) - 1) / 2;
  const at::Tensor expected =
      std::sqrt(2 * std::numbers::pi) * width * at::exp(-s.square() / (2 * width * width));
  EXPECT_LT((y - expected).abs().max().item<double>(), 0.01 * expected.max().item<double>());
}

TEST(Radon, LooksDownTheColumnsFirstAndAlongTheRowsHalfWay) {
  const ImageShape shape{1, 5, 5};
  const at::Tensor x = image_batch(1, shape, 1);
  const at::Tensor y = make({"radon:2", shape})->apply(x)[0][0] * 5;  // 9 detectors
  EXPECT_LT(largest_difference(y[0].narrow(0, 2, 5), x[0][0].sum(0)), 1e-14);
  EXPECT_LT(largest_difference(y[1].narrow(0, 2, 5), x[0][0].sum(1)), 1e-14);
}

TEST(MotionBlur, IsALineOfEqualWeightsThroughTheCentre) {
  const at::Tensor flat = motion_kernel(5, 0), steep = motion_kernel(5, 90), oblique = motion_kernel(7, 30);
  EXPECT_LT(largest_difference(flat[2], at::full({5}, 0.2, at::kDouble)), 1e-15);
  EXPECT_LT(largest_difference(steep, flat.t()), 1e-15);
  EXPECT_LT(largest_difference(oblique, oblique.flip({0, 1})), 1e-15);
  EXPECT_NEAR(oblique.sum().item<double>(), 1, 1e-15);
  // Counter-clockwise: 30 degrees rise to the right.
  EXPECT_GT(oblique[2][5].item<double>(), 10 * oblique[4][5].item<double>());
}

TEST(Defocus, IsADiscOfItsAreaAndTurnsIntoNothingAsItShrinks) {
  const at::Tensor disc = disc_kernel(6.3);
  EXPECT_EQ(disc.sizes(), at::IntArrayRef({13, 13}));
  EXPECT_NEAR(disc.sum().item<double>(), 1, 1e-14);
  EXPECT_LT(largest_difference(disc, disc.t()), 1e-15);
  EXPECT_LT(largest_difference(disc, disc.flip({0})), 1e-15);
  // Weights are those of the area inside: 1 / (pi r^2) in the middle.
  EXPECT_NEAR(disc[6][6].item<double>(), 1 / (std::numbers::pi * 6.3 * 6.3),
              0.01 / (std::numbers::pi * 6.3 * 6.3));
  EXPECT_EQ(disc[0][0].item<double>(), 0);
  EXPECT_EQ(disc_kernel(0.4).numel(), 1);
  // A bright point becomes the disc.
  const ImageShape shape{1, 15, 15};
  at::Tensor point = at::zeros({1, 1, 15, 15}, at::kDouble);
  point[0][0][7][7] = 1;
  const at::Tensor y = make({"defocus:6.3", shape})->apply(point)[0][0];
  EXPECT_LT(largest_difference(y.narrow(0, 1, 13).narrow(1, 1, 13), disc), 1e-15);
}

TEST(RandomInpainting, DrawsAnotherMaskInEveryStage) {
  const ImageShape shape{1, 32, 32};
  const at::Tensor once = make({"random:0.5", shape})->observed();
  EXPECT_TRUE(at::equal(make({"blur:3,1 | random:0.5", shape})->observed(), once));
  const at::Tensor twice = make({"random:0.5 | random:0.5", shape})->observed();
  EXPECT_NEAR(twice.mean().item<double>(), 0.25, 0.05);
}

TEST(OperatorArrays, AreNamedAndCarriedInTheOrderOfTheSpec) {
  const std::string spec = "random:0.5 | kernel: k.npy ,zero | mask:m.png|fourier:@3";
  std::string names;
  for (const ArrayUse& use : array_uses(spec)) names += use.name + "=" + use.reference + " ";
  EXPECT_EQ(names, "mask= kernel=k.npy mask2=m.png mask3=@3 ");
  EXPECT_EQ(carried_spec(spec, true), "mask:@ | kernel:@,zero | mask:@2 | fourier:@3");
  EXPECT_EQ(carried_spec(spec, false), "random:0.5 | kernel:@,zero | mask:@2 | fourier:@3");
  EXPECT_EQ(carried_spec("mean:4", true), "mean:4");
  EXPECT_EQ(array_name("mask", "@"), "mask");
  EXPECT_EQ(array_name("kernel", "@12"), "kernel12");
  for (const char* wrong : {"@1", "@0", "@x", "@-2", "@100", "@ 2"})
    EXPECT_THROW(array_name("mask", wrong), UsageError) << wrong;
}

TEST(OperatorArrays, AreReportedAsTheyAreUsed) {
  std::vector<std::string> kinds;
  OperatorContext context{.image_shape = {1, 8, 8}, .load_array = array_of};
  context.on_array = [&](const std::string& kind, const at::Tensor& array) {
    kinds.push_back(formatted("{}{}", kind, array.sizes()));
  };
  make_operator("random:0.2 | kernel:3x5 | mask:8x8 | matrix:4x64", context);
  EXPECT_EQ(kinds,
            (std::vector<std::string>{"mask[1, 8, 8]", "kernel[3, 5]", "mask[8, 8]", "matrix[4, 64]"}));
}

TEST(OperatorArrays, MustBeFinite) {
  OperatorContext context{.image_shape = {1, 8, 8}};
  context.load_array = [](const std::string&, const std::string&) {
    return at::full({3, 3}, std::numeric_limits<double>::quiet_NaN());
  };
  EXPECT_THROW(make_operator("kernel:k.npy", context), DataError);
}

TEST(MeasuresImage, IsTrueWhereEveryStageKeepsPixels) {
  const ImageShape shape{3, 12, 12};
  for (const char* spec : {"identity", "random:0.3", "mean:3 | hdr", "motion:3,0 | jpeg:50", "grey",
                           "quantise:4", "blur:3,1 | bicubic:2"})
    EXPECT_TRUE(make({spec, shape})->measures_image()) << spec;
  for (const char* spec : {"phase", "radon:3", "fourier:12x12", "matrix:4x432", "mean:3 | radon:3"})
    EXPECT_FALSE(make({spec, shape})->measures_image()) << spec;
}

TEST(Bicubic, IsTorchsAntialiasedInterpolation) {
  for (const ImageShape& shape : {ImageShape{3, 24, 40}, ImageShape{1, 8, 16}}) {
    for (const std::int64_t factor : {2, 3, 4, 5, 7, 8}) {
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

TEST(Catalogue, DescribesEveryOperatorThatCanBeMadeAndNoOther) {
  std::vector<std::string> described;
  for (const OperatorDescription& one : operator_descriptions()) described.emplace_back(one.name());
  EXPECT_EQ(described, known_operators());
  EXPECT_GE(described.size(), 18u);
  const std::string text = describe_operators();
  for (const std::string& name : described) EXPECT_NE(text.find("  " + name), std::string::npos) << name;
}

}  // namespace
}  // namespace dwgf::test
