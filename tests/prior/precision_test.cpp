/// Networks in half precision: as accurate as the format allows, and an overflow never goes unnoticed.
#include <cstdint>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/nn/layers.hpp"
#include "prior/redo_in_float.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

using test::relative_error;

/// The largest relative error that is allowed of a network of a dozen layers: 2^-8 and 2^-11 a rounding.
double tolerance(at::ScalarType type) {
  return type == at::kBFloat16 ? 0.04 : 0.006;
}

class HalfPrecision : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  static std::unique_ptr<Prior> load(const char* like, std::optional<at::ScalarType> type) {
    return load_stable_diffusion(test::data(like).string(), {.unet_type = type, .autoencoder_type = type});
  }
};

TEST_P(HalfPrecision, AgreesWithFloatAndGivesFloat) {
  for (const char* like : {"sd1", "sd2"}) {
    SCOPED_TRACE(like);
    const auto golden = test::read_all(test::data(std::string(like) + ".safetensors"));
    const auto half = load(like, GetParam()), wide = load(like, std::nullopt);
    const at::Tensor z = golden.at("z").to(at::kFloat), x = golden.at("x").to(at::kFloat);
    const at::Tensor noise = half->predict_noise(z, 501);
    EXPECT_EQ(noise.scalar_type(), at::kFloat);
    EXPECT_LE(relative_error(noise, wide->predict_noise(z, 501)), tolerance(GetParam()));
    EXPECT_NE(relative_error(noise, wide->predict_noise(z, 501)), 0.0) << "half precision was not used";
    EXPECT_LE(relative_error(half->decode(z), wide->decode(z)), tolerance(GetParam()));
    EXPECT_LE(relative_error(half->encode(x).mean, wide->encode(x).mean), tolerance(GetParam()));
    EXPECT_LE(relative_error(half->encode(x).std, wide->encode(x).std), tolerance(GetParam()));
    EXPECT_EQ(half->calls_redone(), 0);
    EXPECT_EQ(half->sha256(), wide->sha256());
  }
}

TEST_P(HalfPrecision, PullsBackCotangentsOfAnySize) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const auto half = load("sd1", GetParam()), wide = load("sd1", std::nullopt);
  const at::Tensor z = golden.at("z").to(at::kFloat);
  for (const double size : {1.0, 1e-9, 1e9, 0.0}) {
    SCOPED_TRACE(size);
    const auto here = half->decode_with_pull_back(z), there = wide->decode_with_pull_back(z);
    const at::Tensor cotangent = at::cat({there.x * size, there.x.flip(0) * size * 1e-6}).slice(0, 0, 4, 2);
    const at::Tensor got = here.pull_back(cotangent), expected = there.pull_back(cotangent);
    EXPECT_EQ(got.scalar_type(), at::kFloat);
    if (size == 0.0) {
      EXPECT_TRUE(at::equal(got, at::zeros_like(z)));
      continue;
    }
    for (std::int64_t i = 0; i < 2; ++i)
      EXPECT_LE(relative_error(got[i], expected[i]), 2 * tolerance(GetParam()));
    const auto eps = half->predict_noise_with_pull_back(z, 300),
               exact = wide->predict_noise_with_pull_back(z, 300);
    // The U-Net is deeper, and a gradient passes each rounding twice.
    EXPECT_LE(relative_error(eps.pull_back(z * size), exact.pull_back(z * size)), 6 * tolerance(GetParam()));
  }
  EXPECT_EQ(half->calls_redone(), 0);
}

TEST_P(HalfPrecision, NormsAndAttentionSumInFloat) {
  at::manual_seed(5);
  // A mean of 200 with a deviation of 1 over 2 * 64 * 64 values: in half precision a running sum of them
  // stops growing, and one of their squares overflows in float16.
  GroupNorm norm(2, 4, 1e-6, at::TensorOptions(GetParam()));
  for (auto& parameter : norm.parameters()) parameter.fill_(1.0);
  const at::Tensor x = (at::randn({1, 4, 64, 64}) + 200.0).to(GetParam());
  const at::Tensor expected =
      at::group_norm(x.to(at::kDouble), 2, at::ones({4}, at::kDouble), at::ones({4}, at::kDouble), 1e-6);
  EXPECT_LE(relative_error(norm.forward(x), expected), tolerance(GetParam()));
  for (const auto& like : {x, x.contiguous(at::MemoryFormat::ChannelsLast)}) {
    const auto [mean, rate] = norm.statistics(like);  // [1, 2]
    EXPECT_EQ(mean.scalar_type(), at::kFloat);
    const at::Tensor centred =
        like.to(at::kFloat).contiguous().view({1, 2, 2, 64, 64}) - mean.view({1, 2, 1, 1, 1});
    EXPECT_LE(relative_error(centred.mul(rate.view({1, 2, 1, 1, 1})).view_as(x) + 1.0, expected), 1e-3);
  }

  // Logits of 64 * 40 * 40 = 102400, beyond float16; all but the largest weight vanish.
  const at::Tensor q = at::full({1, 1, 3, 64}, 40.0).to(GetParam()),
                   k = q * at::tensor({1.0, 0.5, 0.25}).view({1, 1, 3, 1}).to(GetParam());
  const at::Tensor v = at::randn({1, 1, 3, 64}).to(GetParam());
  const at::Tensor attended = at::scaled_dot_product_attention(q, k, v);
  EXPECT_LE(relative_error(attended, v.narrow(2, 0, 1).expand_as(v)), tolerance(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Types, HalfPrecision, ::testing::Values(at::kBFloat16, at::kHalf));

TEST(Precision, NetworksChooseTheirOwn) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const at::Tensor z = golden.at("z").to(at::kFloat);
  const auto wide = load_stable_diffusion(test::data("sd1").string(), {});
  const auto mixed = load_stable_diffusion(test::data("sd1").string(), {.unet_type = at::kBFloat16});
  EXPECT_TRUE(at::equal(mixed->decode(z), wide->decode(z)));
  EXPECT_FALSE(at::equal(mixed->predict_noise(z, 501), wide->predict_noise(z, 501)));
  const auto narrow =
      load_stable_diffusion(test::data("sd1").string(), {.dtype = at::kDouble, .unet_type = at::kFloat});
  EXPECT_EQ(narrow->predict_noise(z.to(at::kDouble), 501).scalar_type(), at::kDouble);
  EXPECT_LE(relative_error(narrow->predict_noise(z.to(at::kDouble), 501), wide->predict_noise(z, 501)), 1e-6);
}

/// sd1 with one weight of a network so large that its products pass 65504, and not its result, which a norm
/// brings back.
class Overflowing : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy(test::data("sd1"), folder_.path(), fs::copy_options::recursive); }
  void enlarge(const std::string& network, const std::string& tensor, double factor) const {
    const fs::path file = folder_.path() / network / "diffusion_pytorch_model.safetensors";
    auto weights = test::read_all(file);
    weights.at(tensor) = weights.at(tensor).to(at::kFloat) * factor;
    test::write_bytes(file, test::safetensors_bytes(weights));
  }
  std::unique_ptr<Prior> load(std::optional<at::ScalarType> type) const {
    return load_stable_diffusion(folder_.path().string(), {.unet_type = type, .autoencoder_type = type});
  }
  test::TemporaryFolder folder_;
  const at::Tensor z_ = test::read_all(test::data("sd1.safetensors")).at("z").to(at::kFloat);
  const at::Tensor x_ = test::read_all(test::data("sd1.safetensors")).at("x").to(at::kFloat);
};

TEST_F(Overflowing, UNetIsRedoneInFloatAndCounted) {
  enlarge("unet", "conv_in.weight", 3e5);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  EXPECT_TRUE(at::equal(half->predict_noise(z_, 501), wide->predict_noise(z_, 501)));
  EXPECT_EQ(half->calls_redone(), 1);
  EXPECT_TRUE(at::equal(half->predict_noise_with_pull_back(z_, 501).pull_back(z_),
                        wide->predict_noise_with_pull_back(z_, 501).pull_back(z_)));
  EXPECT_EQ(half->calls_redone(), 2);
  (void)half->decode(z_);
  EXPECT_EQ(half->calls_redone(), 2) << "the autoencoder is well";
}

TEST_F(Overflowing, DecoderIsRedoneInFloatAndCounted) {
  enlarge("vae", "decoder.conv_in.weight", 3e5);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  EXPECT_TRUE(at::equal(half->decode(z_), wide->decode(z_)));
  EXPECT_EQ(half->calls_redone(), 1);
  const auto decoded = half->decode_with_pull_back(z_), expected = wide->decode_with_pull_back(z_);
  EXPECT_TRUE(at::equal(decoded.x, expected.x));
  EXPECT_TRUE(
      at::equal(decoded.pull_back(x_.expand_as(decoded.x)), expected.pull_back(x_.expand_as(decoded.x))));
  EXPECT_EQ(half->calls_redone(), 2);
}

TEST_F(Overflowing, EncoderIsRedoneInFloatAndCounted) {
  enlarge("vae", "encoder.conv_in.weight", 1e6);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  EXPECT_TRUE(at::equal(half->encode(x_).mean, wide->encode(x_).mean));
  EXPECT_EQ(half->calls_redone(), 1);
}

TEST_F(Overflowing, WeightsThatChangedMeanwhileAreNotMixedIn) {
  enlarge("unet", "conv_in.weight", 3e5);
  const auto half = load(at::kHalf);
  fs::remove(folder_.path() / "unet" / "diffusion_pytorch_model.safetensors");
  fs::copy(test::data("sd1") / "unet" / "diffusion_pytorch_model.safetensors", folder_.path() / "unet");
  EXPECT_NE(test::message_of<DataError>([&] { (void)half->predict_noise(z_, 501); }).find("changed while"),
            std::string::npos);
}

/// A prior whose results are `value`, in every entry.
class Constant final : public Prior {
 public:
  explicit Constant(double value, double gradient) : value_(value), gradient_(gradient) {}
  const PriorGeometry& geometry() const override { return geometry_; }
  const NoiseSchedule& schedule() const override { return schedule_; }
  const std::string& sha256() const override { return sha256_; }
  at::TensorOptions options() const override { return at::kFloat; }
  at::Tensor predict_noise(const at::Tensor& z, std::int64_t) const override {
    return at::full_like(z, value_);
  }
  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z, std::int64_t) const override {
    return {at::full_like(z, value_), [this](const at::Tensor& c) { return at::full_like(c, gradient_); }};
  }
  at::Tensor decode(const at::Tensor& z) const override { return at::full_like(z, value_); }
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override {
    return {at::full_like(z, value_), [this](const at::Tensor& c) { return at::full_like(c, gradient_); }};
  }
  LatentDistribution encode(const at::Tensor& x) const override { return {at::full_like(x, value_), x}; }
  EncodedImage encode_with_pull_back(const at::Tensor& x) const override {
    return {at::full_like(x, value_), [this](const at::Tensor& c) { return at::full_like(c, gradient_); }};
  }

 private:
  double value_, gradient_;
  PriorGeometry geometry_{.image_channels = 1, .latent_channels = 1, .factor = 1};
  NoiseSchedule schedule_{NoiseScheduleConfig{}};
  std::string sha256_ = "0";
};

TEST(RedoInFloat, LeavesWhatIsFiniteAloneAndMakesNetworksOnceWhenNeeded) {
  const double nan = std::nan(""), infinity = HUGE_VAL;
  const at::Tensor z = at::zeros({1, 1, 2, 2});
  int made = 0;
  const auto make = [&made] {
    ++made;
    return std::make_unique<Constant>(2.0, 3.0);
  };
  const auto well = redo_in_float(std::make_unique<Constant>(1.0, 1.0), {make, make});
  EXPECT_EQ(well->decode_with_pull_back(z).pull_back(z).sum().item<float>(), 4.0F);
  EXPECT_EQ(well->predict_noise(z, 1).sum().item<float>(), 4.0F);
  EXPECT_EQ(made, 0);
  for (const double bad : {nan, infinity, -infinity}) {
    made = 0;
    const auto ill = redo_in_float(std::make_unique<Constant>(bad, 1.0), {make, make});
    EXPECT_EQ(ill->predict_noise(z, 1).sum().item<float>(), 8.0F);
    EXPECT_EQ(ill->predict_noise(z, 1).sum().item<float>(), 8.0F);
    EXPECT_EQ(made, 1);
    EXPECT_EQ(ill->decode(z).sum().item<float>(), 8.0F);
    EXPECT_EQ(ill->encode(z).mean.sum().item<float>(), 8.0F);
    EXPECT_EQ(made, 2);
    EXPECT_EQ(ill->calls_redone(), 4);
  }
  const auto steep = redo_in_float(std::make_unique<Constant>(1.0, nan), {make, make});
  EXPECT_EQ(steep->decode_with_pull_back(z).pull_back(z).sum().item<float>(), 12.0F);
  EXPECT_EQ(steep->predict_noise_with_pull_back(z, 1).pull_back(z).sum().item<float>(), 12.0F);
  EXPECT_EQ(steep->encode_with_pull_back(z).pull_back(z).sum().item<float>(), 12.0F);
  EXPECT_EQ(steep->calls_redone(), 3);
  const auto only_codec = redo_in_float(std::make_unique<Constant>(nan, 1.0), {{}, make});
  EXPECT_TRUE(std::isnan(only_codec->predict_noise(z, 1).sum().item<float>())) << "float32 has no wider one";
  EXPECT_EQ(only_codec->calls_redone(), 0);
}

}  // namespace
}  // namespace dwgf
