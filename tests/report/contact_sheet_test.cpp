// The sheet of pictures of different sizes: nothing blown up beyond need, and texts that can be read.
#include "report/contact_sheet.hpp"

#include <algorithm>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

at::Tensor grey(std::int64_t height, std::int64_t width, double value) {
  return at::full({1, height, width}, value);
}

/// Samples of this level.
std::int64_t count_of(const PngImage& image, std::uint16_t level) {
  return std::count(image.samples.begin(), image.samples.end(), level);
}

TEST(ContactSheet, ALargePictureDoesNotBlowUpTheSmallOnes) {
  // Levels that neither the paper nor the texts have.
  const PngImage sheet =
      contact_sheet({"mean"}, {{"small", {grey(32, 48, 0.5)}}, {"large", {grey(480, 640, 0.25)}}});
  EXPECT_EQ(count_of(sheet, 128), 64 * 96) << "enlarged to 96 pixels, not to 640";
  EXPECT_EQ(count_of(sheet, 64), 480 * 640);
  EXPECT_LT(sheet.height, 64 + 480 + 100);
}

TEST(ContactSheet, CellsOfARowAreOfOneSize) {
  const PngImage sheet =
      contact_sheet({"measurement", "mean"}, {{"", {grey(8, 12, 0.5), grey(32, 48, 0.25)}}});
  EXPECT_EQ(count_of(sheet, 128), 64 * 96);
  EXPECT_EQ(count_of(sheet, 64), 64 * 96);
}

TEST(ContactSheet, TextsGrowWithTheSheet) {
  constexpr std::uint16_t ink = 40;
  const auto letters = [](std::int64_t width) {
    return count_of(contact_sheet({"mean"}, {{"", {grey(8, width, 0.5)}}}), ink);
  };
  EXPECT_GT(letters(96), 0);
  EXPECT_EQ(letters(1280), 4 * letters(96)) << "twice as high and as wide";
}

TEST(LegibleName, IsWhatTheFontHasOrTheRow) {
  EXPECT_EQ(legible_name("Shoe_12.png", 3), "Shoe_12.png");
  EXPECT_EQ(legible_name("a b-c.png", 3), "a b-c.png");
  EXPECT_EQ(legible_name("caf\u00e9 (2).png", 3), "caf_ _2_.png");
  EXPECT_EQ(legible_name("\u5199\u771f.png", 12), "image 12");
  EXPECT_EQ(legible_name("\u5199\u771f", 12), "image 12");
  EXPECT_EQ(legible_name("\u5199\u771f7.png", 12), "_7.png");
  EXPECT_EQ(legible_name("", 0), "image 0");
}

}  // namespace
}  // namespace dwgf
