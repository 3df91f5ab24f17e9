// JPEG and TIFF against what Pillow and tifffile wrote (tools/make_picture_golden.py), and what damage does.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/data/picture.hpp>

#include "mutation.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

const std::string folder = DWGF_TEST_DATA "/pictures/";

nlohmann::json golden() {
  std::ifstream file(folder + "expected.json");
  return nlohmann::json::parse(file);
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(Pictures, AreReadAsOthersReadThem) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  const nlohmann::json list = golden()["read"];
  for (const auto& [name, expected] : list.items()) {
    const ImagePixels pixels = read_picture(folder + name);
    const auto shape = expected["shape"].get<std::vector<std::int64_t>>();
    EXPECT_EQ((std::vector<std::int64_t>{pixels.channels, pixels.height, pixels.width}), shape) << name;
    const auto values = expected["values"].get<std::vector<float>>();
    ASSERT_EQ(pixels.values.size(), values.size()) << name;
    // Another libjpeg may round a colour by one level.
    const float tolerance = name.find(".tif") == std::string::npos && name.find(".TIF") == std::string::npos
                                ? 1.01f / 127.5f
                                : 1e-6f;
    for (std::size_t k = 0; k < values.size(); ++k)
      ASSERT_NEAR(pixels.values[k], values[k], tolerance) << name << ", value " << k;
    const PictureSize size = read_picture_size(folder + name);
    EXPECT_EQ(size.height, shape[1]) << name;
    EXPECT_EQ(size.width, shape[2]) << name;
  }
}

TEST(Pictures, OfAnOddSubsamplingAreRead) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  // One colour throughout, its luma 3 x 1, one chroma 1 x 1 and the other 1 x 2.
  const ImagePixels pixels = read_picture(folder + "odd-subsampling.jpg");
  ASSERT_EQ(pixels.values.size(), 3u * 7 * 11);
  constexpr double levels[] = {40, 120, 200};
  for (std::size_t k = 0; k < pixels.values.size(); ++k)
    ASSERT_NEAR(pixels.values[k], levels[k / 77] / 127.5 - 1, 2.01 / 127.5) << k;
  EXPECT_EQ(read_picture_size(folder + "odd-subsampling.jpg").width, 11);
}

TEST(Pictures, OfOtherKindsAreRefusedByName) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  const nlohmann::json list = golden()["refused"];
  for (const auto& [name, words] : list.items()) {
    const std::string text = message_of<DataError>([&, path = folder + name] { read_picture(path); });
    EXPECT_NE(text.find(words.get<std::string>()), std::string::npos) << name << ": " << text;
    EXPECT_NE(text.find(name), std::string::npos) << text;
  }
  EXPECT_THROW(read_picture(folder + "not-there.jpg"), NotFoundError);
  EXPECT_THROW(read_picture(folder + "expected.json"), DataError);
  EXPECT_FALSE(is_picture_name("a.json"));
  EXPECT_TRUE(is_picture_name("a.b.TIFF"));
}

TEST(Pictures, CutShortAreRefused) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  for (const char* name : {"colour.jpeg", "progressive.jpg", "grey16.tif", "lzw.tif", "tiles.tif"}) {
    const std::string whole = content_of(folder + name),
                      path = temporary("cut" + std::filesystem::path(name).extension().string());
    // The last bytes of a TIFF may be tags that nobody needs, of a JPEG its end mark.
    for (std::size_t length = 0; length < whole.size() * 3 / 4; length += 1 + whole.size() / 97) {
      write_content(path, whole.substr(0, length));
      EXPECT_THROW(read_picture(path), DataError) << name << " of " << length;
    }
  }
}

TEST(Pictures, DamagedAreReadOrRefusedAndNothingElse) {
  if (!on_one_rank()) GTEST_SKIP() << "once is enough";
  Mutator mutator(8);
  std::size_t refused = 0;
  const nlohmann::json list = golden()["read"];
  for (const auto& [name, unused] : list.items()) {
    const std::string whole = content_of(folder + name),
                      path = temporary("damaged" + std::filesystem::path(name).extension().string());
    for (int times = 0; times < 20; ++times) {
      std::string content = whole;
      mutator.change(content);
      write_content(path, content);
      try {
        const ImagePixels pixels = read_picture(path);
        EXPECT_EQ(pixels.values.size(),
                  static_cast<std::size_t>(pixels.channels * pixels.height * pixels.width));
      } catch (const DataError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 20u);
}

}  // namespace
}  // namespace dwgf
