// Pictures as people have them: turned, of other colours, clear, of few bits, several in a file
// (tools/make_photo_golden.py). Every file shows one of a few scenes, which are known exactly.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/data/picture.hpp>

#include "data/images.hpp"
#include "data/png.hpp"
#include "data/pyramid_tiff.hpp"
#include "data/tiff_writer.hpp"
#include "mutation.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

const std::string folder = DWGF_TEST_DATA "/photos/";

const nlohmann::json& golden() {
  static const nlohmann::json json = [] {
    std::ifstream file(folder + "expected.json");
    return nlohmann::json::parse(file);
  }();
  return json;
}

PictureChoices choices_for(const nlohmann::json& file) {
  PictureChoices choices;
  if (file.contains("range")) choices.range = {file["range"][0], file["range"][1]};
  if (file.value("background", "") == "white") choices.background = {1, 1, 1};
  if (file.value("background", "") == "#ff8000") choices.background = {1, 128 / 127.5 - 1, -1};
  return choices;
}

/// Of a value on [-1, 1], of 255.
double level_of(float value) {
  return (value + 1.0) * 127.5;
}

/// The middle of each of the 4 x 4 squares of mixed inks.
void expect_inks(const std::string& name, const ImagePixels& pixels, double tolerance) {
  ASSERT_EQ((std::vector<std::int64_t>{pixels.channels, pixels.height, pixels.width}),
            (std::vector<std::int64_t>{3, 32, 32}));
  const nlohmann::json& colours = golden()["shows"]["inks"];
  for (std::size_t square = 0; square < 16; ++square) {
    const std::size_t y = square / 4 * 8 + 4, x = square % 4 * 8 + 4;
    for (std::size_t c = 0; c < 3; ++c)
      EXPECT_NEAR(level_of(pixels.values[c * 1024 + y * 32 + x]), colours[square][c].get<double>(), tolerance)
          << name << ", inks " << square << ", channel " << c;
  }
}

TEST(Photos, AreUprightAndInTheirColours) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  ASSERT_GE(golden()["files"].size(), 30u);
  for (const auto& [name, file] : golden()["files"].items()) {
    SCOPED_TRACE(name);
    const ImagePixels pixels = read_picture(folder + name, choices_for(file));
    const auto tolerance = file["levels"].get<double>() + 1e-4;
    const std::string note = file.value("note", "");
    ASSERT_EQ(pixels.notes.size(), note.empty() ? 0u : 1u);
    if (!note.empty()) {
      EXPECT_NE(pixels.notes[0].find(note), std::string::npos) << pixels.notes[0];
    }
    const PictureSize size = read_picture_size(folder + name);
    EXPECT_EQ(size.height, pixels.height);
    EXPECT_EQ(size.width, pixels.width);
    if (file["shows"] == "inks") {
      expect_inks(name, pixels, tolerance);
      continue;
    }
    const nlohmann::json& scene = golden()["shows"][file["shows"].get<std::string>()];
    ASSERT_EQ((std::vector<std::int64_t>{pixels.channels, pixels.height, pixels.width}),
              scene["shape"].get<std::vector<std::int64_t>>());
    for (std::size_t k = 0; k < pixels.values.size(); ++k)
      ASSERT_NEAR(level_of(pixels.values[k]), scene["levels"][k].get<double>(), tolerance) << "value " << k;
  }
}

TEST(Photos, OfOtherColoursAreRefusedByName) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  for (const auto& [name, words] : golden()["refused"].items()) {
    const std::string text = message_of<DataError>([&, path = folder + name] { read_picture(path); });
    EXPECT_NE(text.find(words.get<std::string>()), std::string::npos) << text;
  }
}

TEST(Photos, OfFewBitsAreNoted) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  const ImagePixels dark = read_picture(folder + "twelve-bits.png");
  ASSERT_EQ(dark.notes.size(), 1u);
  EXPECT_NE(dark.notes[0].find("12 bits"), std::string::npos) << dark.notes[0];
  EXPECT_NE(dark.notes[0].find("input.range = 0,4095"), std::string::npos) << dark.notes[0];
  EXPECT_TRUE(read_picture(folder + "sixteen-bits.png").notes.empty());
  EXPECT_TRUE(read_picture(folder + "floats.tif").floating_point);
  EXPECT_FALSE(read_picture(folder + "sixteen-bits.png").floating_point);
}

TEST(Photos, ThatAreClearAreRefusedWithTheOptionThatHelps) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  for (const char* name : {"clear.png", "grey-clear.png"}) {
    const std::string text = message_of<DataError>([&] { read_picture(folder + name); });
    EXPECT_NE(text.find("(0, 6)"), std::string::npos) << text;
    EXPECT_NE(text.find("input.background = white, black or #rrggbb"), std::string::npos) << text;
  }
}

TEST(Photos, OfSrgbKeepTheirBits) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  for (const char* name : {"srgb-profile.png", "gamma-usual.png"}) {
    const PngImage stored = read_png(folder + name);
    const ImagePixels pixels = read_picture(folder + name);
    for (std::size_t k = 0; k < stored.samples.size(); ++k)
      ASSERT_EQ(pixels.values[k % 3 * 96 + k / 3], static_cast<float>(stored.samples[k] / 127.5 - 1.0))
          << name;
  }
}

TEST(Photos, DamagedAreReadOrRefusedAndNothingElse) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  Mutator mutator(19);
  std::size_t refused = 0, read = 0;
  for (const auto& [name, file] : golden()["files"].items()) {
    std::ifstream in(folder + name, std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}},
        path = temporary("damaged" + std::filesystem::path(name).extension().string());
    for (int times = 0; times < 20; ++times) {
      std::string content = whole;
      mutator.change(content);
      write_content(path, content);
      try {
        const ImagePixels pixels = read_picture(path, choices_for(file));
        EXPECT_EQ(pixels.values.size(),
                  static_cast<std::size_t>(pixels.channels * pixels.height * pixels.width));
        ++read;
      } catch (const DataError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 50u);
  EXPECT_GT(read, 50u);
}

TEST(Photos, WrittenAsPngSayThatTheyAreSrgb) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  const std::string path = temporary("srgb.png");
  PngImage image{1, 1, 1, 8, {7}};
  write_png(path, image);
  EXPECT_FALSE(read_png(path).colours.srgb);
  image.colours.srgb = true;
  write_png(path, image);
  EXPECT_TRUE(read_png(path).colours.srgb);
}

TEST(Photos, WrittenAsPyramidsComeBackAsTheyWere) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  for (const std::int64_t channels : {1, 3}) {
    const std::string path = temporary("pyramid.tif");
    constexpr std::int64_t height = 300, width = 517;
    std::vector<float> values(static_cast<std::size_t>(channels * height * width));
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k % 4001) - 2000;
    write_pyramid_tiff(path, channels, height, width, values);
    const ImagePixels pixels = read_picture(path, {.background = {}, .range = ValueRange{-4096, 4096}});
    EXPECT_EQ((std::vector<std::int64_t>{pixels.channels, pixels.height, pixels.width}),
              (std::vector<std::int64_t>{channels, height, width}));
    for (std::size_t k = 0; k < values.size(); ++k) ASSERT_EQ(pixels.values[k] * 4096, values[k]) << k;
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  }
  EXPECT_NE(message_of<IoError>([] {
              write_pyramid_tiff("/nowhere/pyramid.tif", 1, 1, 1, std::vector<float>{0});
            }).find("cannot be written"),
            std::string::npos);
}

TEST(Photos, WrittenAsTiffComeBackAsTheyWere) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  for (const std::int64_t channels : {1, 3}) {
    const std::string path = temporary("floats.tif");
    std::vector<float> values(static_cast<std::size_t>(channels * 5 * 7));
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k) * 37.25f - 1000;
    write_tiff(path, channels, 5, 7, values);
    // Powers of 2, so that the way to [-1, 1] and back loses nothing.
    const ImagePixels pixels = read_picture(path, {.background = {}, .range = ValueRange{-4096, 4096}});
    EXPECT_EQ(pixels.channels, channels);
    EXPECT_EQ(pixels.height, 5);
    for (std::size_t k = 0; k < values.size(); ++k) ASSERT_EQ(pixels.values[k] * 4096, values[k]) << k;
  }
}

}  // namespace
}  // namespace dwgf
