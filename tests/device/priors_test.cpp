// Networks and their pull-backs on the guarded device against the CPU. To rounding, as the CPU has kernels of
// its own for norms and convolutions.
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "device_cases.hpp"
#include "prior/windows.hpp"

namespace dwgf::test {
namespace {

struct Values {
  at::Tensor noise, noise_pull, image, image_pull, mean, std, mean_pull;
};

Values values_of(const Prior& prior, std::int64_t size) {
  const PriorGeometry& geometry = prior.geometry;
  const std::int64_t full = geometry.only ? geometry.only->height : size * geometry.factor;
  const std::int64_t wide = geometry.only ? geometry.only->width : full;
  const std::int64_t h = geometry.only ? geometry.only->latent_height : size;
  const std::int64_t w = geometry.only ? geometry.only->latent_width : size;
  const auto waves_on = [&](at::IntArrayRef shape, double frequency) {
    return waves(shape, at::kDouble, frequency).to(prior.options);
  };
  const at::Tensor z = waves_on({2, geometry.latent_channels, h, w}, 0.37);
  const at::Tensor x = waves_on({2, geometry.image_channels, full, wide}, 0.53);
  const Level level = prior.path->levels(20)[10];
  const Vjp noise = prior.noise_vjp(z, level);
  const at::Tensor noise_pull = noise.pull(z);
  const Vjp image = prior.codec->decode_vjp(z);
  const at::Tensor image_pull = image.pull(x);
  const Vjp mean = prior.codec->encode_vjp(x);
  const at::Tensor mean_pull = mean.pull(z);
  const LatentDistribution code = prior.codec->encode(x);
  EXPECT_LT(relative_difference(prior.noise(z, level), noise.value), 0.1);
  EXPECT_LT(relative_difference(prior.codec->decode(z), image.value), 0.1);
  return {noise.value, noise_pull, image.value, image_pull, code.mean, code.std, mean_pull};
}

void expect_close(const Values& found, const Values& expected, double tolerance) {
  EXPECT_LT(relative_difference(found.noise, expected.noise), tolerance);
  EXPECT_LT(relative_difference(found.noise_pull, expected.noise_pull), tolerance);
  EXPECT_LT(relative_difference(found.image, expected.image), tolerance);
  EXPECT_LT(relative_difference(found.image_pull, expected.image_pull), tolerance);
  EXPECT_LT(relative_difference(found.mean, expected.mean), tolerance);
  EXPECT_LT(relative_difference(found.std, expected.std), tolerance);
  EXPECT_LT(relative_difference(found.mean_pull, expected.mean_pull), tolerance);
}

TEST(SerialDevicePriors, AgreeWithTheCpuToRounding) {
  for (const char* name : {"sd1", "sd2", "sdxl", "sd3", "sd35", "ddpm", "ddpm2", "mixture.h5"}) {
    for (const auto& [type, tolerance] : {std::pair(at::kDouble, 1e-11), std::pair(at::kFloat, 1e-4)}) {
      SCOPED_TRACE(name);
      const auto here = small_prior(at::kCPU, type, name), there = small_prior(guarded::device(), type, name);
      EXPECT_EQ(there->options.device(), guarded::device());
      EXPECT_EQ(there->sha256, here->sha256);
      expect_close(values_of(*there, 8), values_of(*here, 8), tolerance);
    }
  }
}

TEST(SerialDevicePriors, InWindowsAgreeWithTheCpuToRounding) {
  for (const char* name : {"sd1", "sdxl"}) {
    SCOPED_TRACE(name);
    const auto in_windows = [&](const c10::Device& device) {
      const Prior prior = with_windows(*small_prior(device, at::kDouble, name), {8, 3, true});
      MovingWindows windows(prior, 7, 2);
      windows.enter(4);
      return values_of(prior, 12);
    };
    expect_close(in_windows(guarded::device()), in_windows(at::kCPU), 1e-11);
  }
}

TEST(SerialDevicePriors, GuidanceAgreesWithTheCpuToRounding) {
  const auto noise_on = [](const c10::Device& device) {
    const auto prior = small_prior(device, at::kDouble, "sdxl");
    const auto told = [&](double frequency) {
      return Conditioning{.tokens = waves({1, 5, 20}, at::kDouble, frequency).to(prior->options),
                          .pooled = waves({1, 10}, at::kDouble, frequency).to(prior->options)};
    };
    Conditioning given = told(0.7);
    given.guidance = 4.0;
    given.unconditional = std::make_shared<const Conditioning>(told(0.3));
    const at::Tensor z = waves({2, 4, 8, 8}, at::kDouble).to(prior->options);
    const Vjp noise = prior->denoiser->noise_vjp(z, prior->path->levels(20)[10], given);
    return std::pair(noise.value.cpu(), noise.pull(z).cpu());
  };
  const auto [here, here_pulled] = noise_on(at::kCPU);
  const auto [there, there_pulled] = noise_on(guarded::device());
  EXPECT_LT(relative_difference(there, here), 1e-11);
  EXPECT_LT(relative_difference(there_pulled, here_pulled), 1e-11);
}

TEST(SerialDevicePriors, OfFewStepsAgreeWithTheCpuToRounding) {
  for (const auto& [name, codec] : {std::pair("lcm", ""), {"turbo", "taesd"}}) {
    SCOPED_TRACE(name);
    const auto here = small_prior(at::kCPU, at::kDouble, name, codec),
               there = small_prior(guarded::device(), at::kDouble, name, codec);
    expect_close(values_of(*there, 8), values_of(*here, 8), 1e-11);
  }
}

TEST(SerialDevicePriors, TheBuiltInPriorAgreesWithTheCpuToRounding) {
  PriorOptions options;
  const std::string files = prior_files("builtin:fashion");
  const auto here = load_prior(files, options);
  options.device = guarded::device();
  const auto there = load_prior(files, options);
  expect_close(values_of(*there, 7), values_of(*here, 7), 1e-4);
  ASSERT_EQ(there->probe != nullptr, here->probe != nullptr);
  if (there->probe) {
    EXPECT_EQ(there->probe().has_value(), here->probe().has_value());
  }
}

TEST(SerialDevicePriors, HalfPrecisionRunsAndIsCloseToFloat) {
  PriorOptions options;
  options.device = guarded::device();
  const std::string files = std::string(DWGF_TEST_DATA) + "/prior/sd1";
  const auto full = load_prior(files, options);
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    options.unet_type = options.autoencoder_type = type;
    const auto half = load_prior(files, options);
    expect_close(values_of(*half, 8), values_of(*full, 8), 0.3);
  }
}

TEST(SerialDevicePriors, RecomputeIsPlainToTheBit) {
  PriorOptions options;
  options.device = guarded::device();
  const std::string files = std::string(DWGF_TEST_DATA) + "/prior/sd1";
  const at::Tensor z = waves({2, 4, 8, 8}, at::kFloat).to(guarded::device());
  std::vector<at::Tensor> gradients;
  for (const DecoderGradient how : {DecoderGradient::plain, DecoderGradient::recompute}) {
    options.decoder_gradient = how;
    const auto prior = load_prior(files, options);
    const Vjp image = prior->codec->decode_vjp(z);
    gradients.push_back(image.pull(image.value).cpu());
  }
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]));
}

}  // namespace
}  // namespace dwgf::test
