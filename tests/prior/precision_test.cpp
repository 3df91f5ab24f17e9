/// Networks in half precision: as accurate as the format allows, and an overflow never goes unnoticed.
#include <cstdint>
#include <fstream>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/fp32_retry.hpp"
#include "prior/nn/layers.hpp"
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
    const at::Tensor noise = half->noise(z, test::level_at(*half, 501));
    EXPECT_EQ(noise.scalar_type(), at::kFloat);
    EXPECT_LE(relative_error(noise, wide->noise(z, test::level_at(*wide, 501))), tolerance(GetParam()));
    EXPECT_NE(relative_error(noise, wide->noise(z, test::level_at(*wide, 501))), 0.0)
        << "half precision was not used";
    EXPECT_LE(relative_error(half->codec->decode(z), wide->codec->decode(z)), tolerance(GetParam()));
    EXPECT_LE(relative_error(half->codec->encode(x).mean, wide->codec->encode(x).mean),
              tolerance(GetParam()));
    EXPECT_LE(relative_error(half->codec->encode(x).std, wide->codec->encode(x).std), tolerance(GetParam()));
    EXPECT_EQ(half->retries->total(), 0);
    EXPECT_EQ(half->sha256, wide->sha256);
  }
}

TEST_P(HalfPrecision, PullsBackCotangentsOfAnySize) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const auto half = load("sd1", GetParam()), wide = load("sd1", std::nullopt);
  const at::Tensor z = golden.at("z").to(at::kFloat);
  for (const double size : {1.0, 1e-9, 1e9, 0.0}) {
    SCOPED_TRACE(size);
    const auto here = half->codec->decode_vjp(z), there = wide->codec->decode_vjp(z);
    const at::Tensor cotangent =
        at::cat({there.value * size, there.value.flip(0) * size * 1e-6}).slice(0, 0, 4, 2);
    const at::Tensor got = here.pull(cotangent), expected = there.pull(cotangent);
    EXPECT_EQ(got.scalar_type(), at::kFloat);
    if (size == 0.0) {
      EXPECT_TRUE(at::equal(got, at::zeros_like(z)));
      continue;
    }
    for (std::int64_t i = 0; i < 2; ++i)
      EXPECT_LE(relative_error(got[i], expected[i]), 2 * tolerance(GetParam()));
    const auto eps = half->noise_vjp(z, test::level_at(*half, 300)),
               exact = wide->noise_vjp(z, test::level_at(*wide, 300));
    // The U-Net is deeper, and a gradient passes each rounding twice.
    EXPECT_LE(relative_error(eps.pull(z * size), exact.pull(z * size)), 6 * tolerance(GetParam()));
  }
  EXPECT_EQ(half->retries->total(), 0);
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
  if (const auto [mean, rate] = norm.statistics(x.contiguous(at::MemoryFormat::ChannelsLast));
      mean.defined()) {
    EXPECT_EQ(mean.scalar_type(), at::kFloat);  // [1, 2]
    const at::Tensor centred = x.to(at::kFloat).view({1, 2, 2, 64, 64}) - mean.view({1, 2, 1, 1, 1});
    EXPECT_LE(relative_error(centred.mul(rate.view({1, 2, 1, 1, 1})).view_as(x) + 1.0, expected), 1e-3);
  } else {
    EXPECT_NE(GetParam(), at::kBFloat16) << "the networks' own kernels form them";
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
  EXPECT_TRUE(at::equal(mixed->codec->decode(z), wide->codec->decode(z)));
  EXPECT_FALSE(
      at::equal(mixed->noise(z, test::level_at(*mixed, 501)), wide->noise(z, test::level_at(*wide, 501))));
  const auto narrow =
      load_stable_diffusion(test::data("sd1").string(), {.dtype = at::kDouble, .unet_type = at::kFloat});
  EXPECT_EQ(narrow->noise(z.to(at::kDouble), test::level_at(*narrow, 501)).scalar_type(), at::kDouble);
  EXPECT_LE(relative_error(narrow->noise(z.to(at::kDouble), test::level_at(*narrow, 501)),
                           wide->noise(z, test::level_at(*wide, 501))),
            1e-6);
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

TEST_F(Overflowing, UNetIsRetriedInFloatAndCounted) {
  enlarge("unet", "conv_in.weight", 3e5);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  EXPECT_TRUE(
      at::equal(half->noise(z_, test::level_at(*half, 501)), wide->noise(z_, test::level_at(*wide, 501))));
  EXPECT_EQ(half->retries->total(), 1);
  EXPECT_TRUE(at::equal(half->noise_vjp(z_, test::level_at(*half, 501)).pull(z_),
                        wide->noise_vjp(z_, test::level_at(*wide, 501)).pull(z_)));
  EXPECT_EQ(half->retries->total(), 2);
  (void)half->codec->decode(z_);
  EXPECT_EQ(half->retries->total(), 2) << "the autoencoder is well";
}

TEST_F(Overflowing, DecoderIsRetriedInFloatAndCounted) {
  enlarge("vae", "decoder.conv_in.weight", 3e5);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  EXPECT_TRUE(at::equal(half->codec->decode(z_), wide->codec->decode(z_)));
  EXPECT_EQ(half->retries->total(), 1);
  const auto decoded = half->codec->decode_vjp(z_), expected = wide->codec->decode_vjp(z_);
  EXPECT_TRUE(at::equal(decoded.value, expected.value));
  EXPECT_TRUE(
      at::equal(decoded.pull(x_.expand_as(decoded.value)), expected.pull(x_.expand_as(decoded.value))));
  EXPECT_EQ(half->retries->total(), 2);
}

TEST_F(Overflowing, EncoderIsRetriedInFloatAndCounted) {
  enlarge("vae", "encoder.conv_in.weight", 1e6);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  EXPECT_TRUE(at::equal(half->codec->encode(x_).mean, wide->codec->encode(x_).mean));
  EXPECT_EQ(half->retries->total(), 1);
}

TEST_F(Overflowing, AFolderThatIsGoneMeanwhileIsNoLoss) {
  enlarge("unet", "conv_in.weight", 3e5);
  const auto half = load(at::kHalf), wide = load(std::nullopt);
  fs::remove_all(folder_.path());
  EXPECT_TRUE(
      at::equal(half->noise(z_, test::level_at(*half, 501)), wide->noise(z_, test::level_at(*wide, 501))));
  EXPECT_EQ(half->retries->total(), 1);
}

TEST_F(Overflowing, WeightsThatChangedMeanwhileAreNotMixedIn) {
  enlarge("unet", "conv_in.weight", 3e5);
  const auto half = load(at::kHalf);
  std::fstream weights(folder_.path() / "unet" / "diffusion_pytorch_model.safetensors",
                       std::ios::in | std::ios::out | std::ios::binary);
  weights.seekp(-1, std::ios::end);
  weights.put('\1');
  weights.close();
  EXPECT_NE(test::message_of<DataError>([&] {
              (void)half->noise(z_, test::level_at(*half, 501));
            }).find("changed while"),
            std::string::npos);
}

/// A denoiser and a codec whose results are `value` and whose gradients are `gradient`, in every entry.
class Constant final : public Denoiser, public Codec {
 public:
  Constant(double value, double gradient) : value_(value), gradient_(gradient) {}
  at::Tensor noise(const at::Tensor& z, const Level&, const Conditioning&) const override { return of(z); }
  Vjp noise_vjp(const at::Tensor& z, const Level&, const Conditioning&) const override { return vjp(z); }
  at::Tensor decode(const at::Tensor& z) const override { return of(z); }
  Vjp decode_vjp(const at::Tensor& z) const override { return vjp(z); }
  LatentDistribution encode(const at::Tensor& x) const override { return {of(x), x}; }
  Vjp encode_vjp(const at::Tensor& x) const override { return vjp(x); }

 private:
  at::Tensor of(const at::Tensor& like) const { return at::full_like(like, value_); }
  Vjp vjp(const at::Tensor& x) const {
    return {of(x), [this](const at::Tensor& c) { return at::full_like(c, gradient_); }};
  }
  double value_, gradient_;
};

struct Retried {
  int made = 0;
  std::shared_ptr<Fp32Retries> retries = std::make_shared<Fp32Retries>();
  std::shared_ptr<const Denoiser> denoiser;
  std::shared_ptr<const Codec> codec;

  Retried(double value, double gradient) {
    const auto half = std::make_shared<Constant>(value, gradient);
    const auto make = [this] {
      ++made;
      return std::make_shared<Constant>(2.0, 3.0);
    };
    denoiser = with_fp32_retry(std::shared_ptr<const Denoiser>(half), make, retries);
    codec = with_fp32_retry(std::shared_ptr<const Codec>(half), make, retries);
  }
};

TEST(Fp32Retry, LeavesWhatIsFiniteAloneAndMakesNetworksOnceWhenNeeded) {
  const double nan = std::nan(""), infinity = HUGE_VAL;
  const at::Tensor z = at::zeros({1, 1, 2, 2});
  const Level level{0.6, 0.8, 1.0};
  const auto sum = [](const at::Tensor& t) { return t.sum().item<float>(); };
  const Retried well(1.0, 1.0);
  EXPECT_EQ(sum(well.codec->decode_vjp(z).pull(z)), 4.0F);
  EXPECT_EQ(sum(well.denoiser->noise(z, level, {})), 4.0F);
  EXPECT_EQ(well.made, 0);
  for (const double bad : {nan, infinity, -infinity}) {
    const Retried ill(bad, 1.0);
    EXPECT_EQ(sum(ill.denoiser->noise(z, level, {})), 8.0F);
    EXPECT_EQ(sum(ill.denoiser->noise(z, level, {})), 8.0F);
    EXPECT_EQ(ill.made, 1);
    EXPECT_EQ(sum(ill.codec->decode(z)), 8.0F);
    EXPECT_EQ(sum(ill.codec->encode(z).mean), 8.0F);
    EXPECT_EQ(ill.made, 2);
    EXPECT_EQ(ill.retries->total(), 4);
  }
  const Retried steep(1.0, nan);
  EXPECT_EQ(sum(steep.codec->decode_vjp(z).pull(z)), 12.0F);
  EXPECT_EQ(sum(steep.denoiser->noise_vjp(z, level, {}).pull(z)), 12.0F);
  EXPECT_EQ(sum(steep.codec->encode_vjp(z).pull(z)), 12.0F);
  EXPECT_EQ(steep.retries->total(), 3);
}

}  // namespace
}  // namespace dwgf
