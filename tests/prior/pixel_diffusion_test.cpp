#include <cstdint>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

class PixelDiffusionParity : public ::testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {};

TEST_P(PixelDiffusionParity, PredictsTheNoiseAsDiffusersDoes) {
  const auto [like, type] = GetParam();
  const auto prior = load_pixel_diffusion(test::data(like), {.dtype = type});
  const auto golden = test::read_all(test::data(std::string(like) + ".safetensors"));
  const at::Tensor z = golden.at("z").to(type);
  for (const int time : {999, 501, 1}) {
    at::Tensor expected = golden.at("unet." + std::to_string(time));
    if (test::schedule_of(*prior).config().prediction == PredictionType::v_prediction) {
      expected = test::level_at(*prior, time).signal * expected +
                 test::level_at(*prior, time).noise * z.to(at::kDouble);
    }
    EXPECT_LE(relative_error(prior->noise(z, test::level_at(*prior, time)), expected),
              type == at::kDouble ? 1e-11 : 1e-5)
        << time;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, PixelDiffusionParity,
                         ::testing::Combine(::testing::Values("ddpm", "ddpm2"),
                                            ::testing::Values(at::kFloat, at::kDouble)));

TEST(PixelDiffusion, LatentsAreTheImages) {
  const auto prior = load_pixel_diffusion(test::data("ddpm2"), {.dtype = at::kDouble});
  EXPECT_EQ(prior->geometry.canvas(15, 9), (Canvas{15, 9, 15, 9}));
  EXPECT_EQ(prior->geometry.image_channels, 3);
  const at::Tensor x = at::linspace(-1, 1, 2 * 3 * 5 * 7, at::kDouble).view({2, 3, 5, 7});
  EXPECT_TRUE(at::equal(prior->codec->decode(x), x));
  EXPECT_TRUE(at::equal(prior->codec->encode(x).mean, x));
  EXPECT_TRUE(prior->codec->encode(x).std.eq(0).all().item<bool>());
  const auto [decoded, pull] = prior->codec->decode_vjp(x);
  EXPECT_TRUE(at::equal(decoded, x));
  EXPECT_TRUE(at::equal(pull(2 * x), 2 * x));
  EXPECT_TRUE(at::equal(prior->codec->encode_vjp(x).pull(2 * x), 2 * x));
  EXPECT_EQ(prior->noise(x, test::level_at(*prior, 10)).sizes(), x.sizes());  // odd sizes too
}

TEST(PixelDiffusion, NoisePullBackAgreesWithFiniteDifferences) {
  const auto prior = load_pixel_diffusion(test::data("ddpm"), {.dtype = at::kDouble});
  const at::Tensor z = test::read_all(test::data("ddpm.safetensors")).at("z").to(at::kDouble);
  const at::Tensor cotangent = (1.3 * at::arange(z.numel(), at::kDouble)).cos().view_as(z);
  const at::Tensor gradient = prior->noise_vjp(z, test::level_at(*prior, 300)).pull(cotangent);
  const double step = 1e-5;
  for (const std::int64_t entry : {0, 100, 383}) {
    at::Tensor change = at::zeros_like(z);
    change.view(-1)[entry] = step;
    const at::Tensor difference = prior->noise(z + change, test::level_at(*prior, 300)) -
                                  prior->noise(z - change, test::level_at(*prior, 300));
    const double expected = (difference * cotangent).sum().item<double>() / (2 * step);
    EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(), expected, 1e-6 * (1 + std::abs(expected)));
  }
}

TEST(PixelDiffusion, IsToldFromStableDiffusion) {
  EXPECT_TRUE(is_pixel_diffusion(test::data("ddpm")));
  EXPECT_TRUE(is_pixel_diffusion(test::data("ddpm2")));
  EXPECT_FALSE(is_pixel_diffusion(test::data("sd1")));
  EXPECT_FALSE(is_pixel_diffusion(test::data("there is none")));
}

TEST(PixelDiffusion, RefusesWhatItDoesNotImplement) {
  for (const auto& [from, to, word] :
       {std::tuple{"\"upsample_type\": \"conv\"", "\"upsample_type\": \"resnet\"", "upsample_type"},
        std::tuple{"\"num_class_embeds\": null", "\"num_class_embeds\": 10", "num_class_embeds"},
        std::tuple{"\"out_channels\": 1", "\"out_channels\": 3", "out_channels"}}) {
    const test::TemporaryFolder folder;
    std::filesystem::copy(test::data("ddpm"), folder.path() / "m");
    std::string config = test::read_bytes(folder.path() / "m/config.json");
    const auto at = config.find(from);
    ASSERT_NE(at, std::string::npos);
    test::write_bytes(folder.path() / "m/config.json", config.replace(at, std::string(from).size(), to));
    const std::string message =
        test::message_of<DataError>([&] { (void)load_pixel_diffusion(folder.path() / "m", {}); });
    EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace dwgf
