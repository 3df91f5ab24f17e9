#include <cmath>
#include <fstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/metric/image_quality.hpp>

namespace dwgf {
namespace {

at::Tensor ramp() {
  return at::linspace(-1.0, 1.0, 3 * 16 * 20, at::kDouble).view({3, 16, 20});
}

TEST(ImageQuality, AgreesWithScikitImage) {
  std::ifstream file(DWGF_TEST_DATA "/metric/image_quality.json");
  ASSERT_TRUE(file.good());
  for (const nlohmann::json& one : nlohmann::json::parse(file)) {
    const auto shape = one["shape"].get<std::vector<std::int64_t>>();
    const auto tensor = [&](const char* name) {
      return at::tensor(one[name].get<std::vector<double>>(), at::kDouble).view(shape);
    };
    const at::Tensor x = tensor("x"), truth = tensor("truth");
    EXPECT_NEAR(psnr(x, truth), one["psnr"].get<double>(), 1e-12) << one["name"];
    EXPECT_NEAR(ssim(x, truth), one["ssim"].get<double>(), 1e-12) << one["name"];
    // Multiples of 1/256: float32 holds them exactly.
    EXPECT_EQ(ssim(x.to(at::kFloat), truth.to(at::kFloat)), ssim(x, truth)) << one["name"];
  }
}

TEST(Psnr, HasPeakTwo) {
  EXPECT_NEAR(psnr(ramp().mul(0.5) + 0.1, ramp().mul(0.5)), 20 * std::log10(2 / 0.1), 1e-10);
  EXPECT_EQ(psnr(ramp(), ramp()), INFINITY);
}

TEST(ImageQuality, ClipsFirst) {
  const at::Tensor x = ramp() * 3;
  EXPECT_EQ(psnr(x, ramp()), psnr(x.clamp(-1, 1), ramp()));
  EXPECT_EQ(ssim(x, ramp()), ssim(x.clamp(-1, 1), ramp()));
}

TEST(Ssim, IsOneForEqualImagesAndUndefinedForTinyOnes) {
  EXPECT_NEAR(ssim(ramp(), ramp()), 1, 1e-14);
  EXPECT_TRUE(std::isnan(ssim(at::zeros({1, 10, 20}), at::zeros({1, 10, 20}))));
}

TEST(ImageQuality, IsNotANumberWhereAPixelIsNot) {
  at::Tensor x = ramp();
  x[0][8][8] = NAN;
  EXPECT_TRUE(std::isnan(psnr(x, ramp())));
  EXPECT_TRUE(std::isnan(ssim(x, ramp())));
}

TEST(ImageQuality, OfALargeImageIsThatOfItsParts) {
  // More values than are looked at at a time; its parts are not.
  at::manual_seed(3);
  constexpr std::int64_t height = 2100, width = 2050, border = 5, middle = 1050;
  const at::Tensor truth = at::rand({1, height, width}) - 0.5, x = truth + 0.1 * at::randn_like(truth);
  const auto part = [&](const at::Tensor& image, std::int64_t first, std::int64_t rows) {
    return image.narrow(1, first, rows);
  };
  const auto first = [&](const at::Tensor& image) { return part(image, 0, middle + 2 * border); };
  const auto second = [&](const at::Tensor& image) { return part(image, middle, height - middle); };
  const double rows = middle, others = height - middle - 2 * border;
  EXPECT_NEAR(
      ssim(x, truth),
      (rows * ssim(first(x), first(truth)) + others * ssim(second(x), second(truth))) / (rows + others),
      1e-12);
  const double square = (x.clamp(-1, 1) - truth).to(at::kDouble).square().mean().item<double>();
  EXPECT_NEAR(psnr(x, truth), 10 * std::log10(4 / square), 1e-5);
}

TEST(ImageQuality, RefusesDifferentShapes) {
  EXPECT_THROW(psnr(ramp(), ramp().narrow(0, 0, 1)), InternalError);
  EXPECT_THROW(ssim(ramp(), ramp().transpose(1, 2)), InternalError);
}

}  // namespace
}  // namespace dwgf
