#include <cmath>
#include <filesystem>

#include <ATen/Parallel.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/photographs.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

class PhotographsParity : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(PhotographsParity, SeesWhatThePythonNetworkSees) {
  const auto type = GetParam();
  const auto prior = load_photographs(test::data("photo"), {.dtype = type});
  const auto golden = test::read_all(test::data("photo.safetensors"));
  const at::Tensor z = golden.at("z").to(type), exact = z.to(at::kDouble);
  // PyTorch's levels are in float32.
  const double tolerance = type == at::kDouble ? 2e-6 : 2e-5;
  for (const int time : {999, 501, 1}) {
    const at::Tensor v = golden.at("v." + std::to_string(time));
    const Level level = test::level_at(*prior, time);
    const Conditioning none;
    EXPECT_LE(relative_error(prior->noise(z, level), level.signal * v + level.noise * exact), tolerance)
        << time;
    EXPECT_LE(relative_error(prior->denoiser->clean(z, level, none), level.signal * exact - level.noise * v),
              tolerance)
        << time;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PhotographsParity, ::testing::Values(at::kFloat, at::kDouble));

TEST(Photographs, ImagesOfAnySizeAreTheirOwnLatentsOnAWholeCanvas) {
  const auto prior = load_photographs(test::data("photo"), {.dtype = at::kDouble});
  EXPECT_EQ(prior->geometry.canvas(15, 9), (Canvas{16, 12, 16, 12}));
  EXPECT_EQ(prior->geometry.image_channels, 3);
  const at::Tensor x = at::linspace(-1, 1, 2 * 3 * 8 * 4, at::kDouble).view({2, 3, 8, 4});
  EXPECT_TRUE(at::equal(prior->codec->decode(x), x));
  EXPECT_TRUE(at::equal(prior->codec->encode(x).mean, x));
  EXPECT_THROW((void)prior->noise(x.narrow(3, 0, 3), test::level_at(*prior, 10)), InternalError);
}

TEST(Photographs, NoisePullBackAgreesWithFiniteDifferences) {
  const auto prior = load_photographs(test::data("photo"), {.dtype = at::kDouble});
  const at::Tensor z = test::read_all(test::data("photo.safetensors")).at("z").to(at::kDouble);
  const at::Tensor cotangent = (1.3 * at::arange(z.numel(), at::kDouble)).cos().view_as(z);
  const Level level = test::level_at(*prior, 300);
  const Vjp product = prior->noise_vjp(z, level);
  EXPECT_TRUE(at::allclose(product.value, prior->noise(z, level), 1e-13, 1e-13));
  const at::Tensor gradient = product.pull(cotangent);
  const double step = 1e-5;
  for (const std::int64_t entry : {0, 100, 1151}) {
    at::Tensor change = at::zeros_like(z);
    change.view(-1)[entry] = step;
    const at::Tensor difference = prior->noise(z + change, level) - prior->noise(z - change, level);
    const double expected = (difference * cotangent).sum().item<double>() / (2 * step);
    EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(), expected, 1e-6 * (1 + std::abs(expected)));
  }
}

TEST(Photographs, SeeNothingBeyondTheirReach) {
  // Two levels: 2^2 pixels a position, a 3x3 convolution on either side and three blocks of two around them.
  const auto prior = load_photographs(test::data("photo"), {.dtype = at::kDouble});
  at::manual_seed(4);
  const at::Tensor z = at::randn({1, 3, 16, 256}, at::kDouble);
  at::Tensor other = z.clone();
  other.narrow(3, 192, 64).neg_();
  const Level level = test::level_at(*prior, 500);
  const at::Tensor a = prior->noise(z, level), b = prior->noise(other, level);
  EXPECT_TRUE(at::allclose(a.narrow(3, 0, 128), b.narrow(3, 0, 128), 1e-12, 1e-12));
  EXPECT_FALSE(at::allclose(a.narrow(3, 188, 4), b.narrow(3, 188, 4), 1e-6, 1e-6));
}

TEST(Photographs, AreToldFromOtherModelsOfPixels) {
  EXPECT_TRUE(is_photographs(test::data("photo")));
  EXPECT_FALSE(is_photographs(test::data("ddpm2")));
  EXPECT_FALSE(is_photographs(test::data("there is none")));
  EXPECT_STREQ(family_of(test::data("photo")).name, "photographs");
}

TEST(Photographs, RefuseWhatTheyDoNotImplement) {
  for (const auto& [from, to, word] :
       {std::tuple{"\"v_prediction\"", "\"epsilon\"", "prediction_type"},
        std::tuple{"\"noise_frequencies\": 3", "\"noise_frequencies\": 1", "noise_frequencies"},
        std::tuple{"\"noise_frequencies\": 3", "\"noise_frequencies\": 4", "embed1"}}) {
    const test::TemporaryFolder folder;
    std::filesystem::copy(test::data("photo"), folder.path() / "m", std::filesystem::copy_options::recursive);
    const auto file = folder.path() / "m/unet/config.json";
    std::string config = test::read_bytes(file);
    const auto at = config.find(from);
    ASSERT_NE(at, std::string::npos);
    test::write_bytes(file, config.replace(at, std::string(from).size(), to));
    const std::string message =
        test::message_of<DataError>([&] { (void)load_photographs(folder.path() / "m", {}); });
    EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace dwgf
