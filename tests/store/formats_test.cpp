// A format that this program does not know is added by a row, and read as those that it knows.
#include "data/formats.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "data/png.hpp"
#include "support/portable_grey.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

class PictureFormats : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary_of_rank("grey maps");
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_content(folder_ + "/a.PGM", std::string("P5 2 1\n255\n") + '\x00' + '\xFF');
    picture_formats().push_back(test::portable_grey());
  }
  void TearDown() override { picture_formats().pop_back(); }

  std::string folder_;
};

TEST_F(PictureFormats, OneOfOnesOwnIsReadAmongTheOthers) {
  write_png(folder_ + "/b.png", {1, 1, 1, 8, {0}});
  const auto source = open_images(folder_);
  ASSERT_EQ(source->entries().size(), 2u);
  EXPECT_EQ(source->entries()[0].name, "a.PGM");
  EXPECT_EQ(source->entries()[0].width, 2u);
  EXPECT_EQ(source->read(0, 1).values, (std::vector<float>{-1, 1}));
  EXPECT_EQ(source->read(0, 3).values, (std::vector<float>{-1, 1, -1, 1, -1, 1}));
}

TEST_F(PictureFormats, OneOfOnesOwnIsNamedAndRefuses) {
  write_content(folder_ + "/a.PGM", "P5 2 1\n255\n");
  EXPECT_NE(message_of<DataError>([&] { open_images(folder_)->read(0, 1); }).find("truncated"),
            std::string::npos);
  const std::string text = message_of<DataError>([] { read_picture("a.gif"); });
  EXPECT_NE(text.find("PNG, JPEG, TIFF, WebP and PGM"), std::string::npos) << text;
}

}  // namespace
}  // namespace dwgf
