#include "data/images.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <hdf5.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "data/npy.hpp"
#include "data/png.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

// A folder of this rank's own, empty at first.
class Images : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary_of_rank("images");
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  std::string in(const std::string& name) const { return folder_ + "/" + name; }
  void png(const std::string& name, std::int64_t height, std::int64_t width, int channels,
           std::vector<std::uint16_t> samples, int bits = 8) const {
    fs::create_directories(fs::path(in(name)).parent_path());
    write_png(in(name), {height, width, channels, bits, std::move(samples)});
  }
  void hdf5(const std::string& name, hid_t type, std::vector<hsize_t> shape, const void* values,
            hid_t in_memory, bool compressed = false) const {
    const hid_t file = H5Fcreate(in(name).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                list = H5Pcreate(H5P_DATASET_CREATE);
    if (compressed) {
      H5Pset_chunk(list, static_cast<int>(shape.size()), shape.data());
      H5Pset_deflate(list, 1);
    }
    const hid_t data = H5Dcreate2(file, "pictures", type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    H5Dwrite(data, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(data);
    H5Pclose(list);
    H5Sclose(space);
    H5Fclose(file);
  }
  std::string folder_;
};

TEST_F(Images, TextBesideAPictureIsItsPrompt) {
  for (const char* name : {"a.png", "b.png", "c.png", "inner/d.png"}) png(name, 1, 1, 1, {0});
  std::ofstream(in("b.txt")) << "\n a caf\xC3\xA9, at night \r\n";
  std::ofstream(in("c.txt")) << " \n";
  std::ofstream(in("inner/d.txt")) << "two\nlines";
  std::ofstream(in("e.txt")) << "of no picture";
  std::vector<std::string> prompts;
  const auto source = open_images(folder_);
  for (const auto& entry : source->entries()) prompts.push_back(entry.prompt);
  EXPECT_EQ(prompts, (std::vector<std::string>{"", "a caf\xC3\xA9, at night", "", "two\nlines"}));
  std::ofstream(in("b.txt")) << std::string(kLongestPrompt, 'x');
  EXPECT_EQ(open_images(folder_)->entries()[1].prompt.size(), kLongestPrompt);
  std::ofstream(in("b.txt")) << std::string(kLongestPrompt + 1, 'x');
  try {
    open_images(folder_);
    ADD_FAILURE() << "a prompt that is too long was taken";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("b.png"), std::string::npos) << error.what();
  }
}

TEST_F(Images, AFolderIsListedInOrderOfItsPaths) {
  png("b.png", 2, 3, 1, std::vector<std::uint16_t>(6, 0));
  png("a/z.PNG", 1, 1, 1, {255});
  png("a.png", 4, 5, 3, std::vector<std::uint16_t>(60, 0));
  png("\xC3\xA4 .png", 1, 1, 1, {0});
  std::ofstream(in("photo.heic")) << "x";
  std::ofstream(in("a/README")) << "x";
  const auto source = open_images(folder_);
  std::vector<std::string> names;
  for (const auto& entry : source->entries()) names.push_back(entry.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a.png", "a/z.PNG", "b.png", "\xC3\xA4 .png"}));
  EXPECT_EQ(source->ignored(), 2);
  EXPECT_EQ(source->entries()[0].height, 4u);
  EXPECT_EQ(source->entries()[0].width, 5u);
  // FNV-1a (64 bits) of "a.png", by another program.
  EXPECT_EQ(source->entries()[0].id, 0xA29205B56BA85779ull);
  // The identity is that of the path in the folder, wherever the folder is and however it is spelled.
  EXPECT_EQ(open_images(folder_ + "/./")->entries()[1].id, source->entries()[1].id);
  EXPECT_EQ(open_images(folder_ + "/")->entries()[1].name, "a/z.PNG");
}

TEST_F(Images, ReadAheadGivesTheSameInAnyOrder) {
  for (int k = 0; k < 9; ++k) png(std::to_string(k) + ".png", 1, 1, 1, {static_cast<std::uint16_t>(k * 20)});
  std::ofstream(in("5.png")) << "damaged";
  const auto source = open_images(folder_);
  // In order, by strides, back, twice, with other channels, over a damaged one and past the end.
  for (const std::int64_t k : {0, 1, 2, 4, 6, 8, 3, 3, 4, 5, 6, 5, 8, 0, 7, 8}) {
    for (const std::int64_t channels : {1, 3}) {
      if (k == 5) {
        EXPECT_THROW(source->read(k, channels), DataError);
        continue;
      }
      const std::vector<float> values = source->read(k, channels).values;
      EXPECT_EQ(values, std::vector<float>(static_cast<std::size_t>(channels),
                                           static_cast<float>(static_cast<double>(k) * 20 / 127.5 - 1)));
    }
  }
}

TEST(ImagesOfAllRanks, AreListedTogether) {
  Communicator world = Communicator::world();
  const std::string folder = temporary("listed-together");
  if (world.rank() == 0) {
    fs::create_directories(folder + "/deep/er");
    for (int k = 0; k < 7; ++k) {
      const std::string place = k % 2 ? "/deep/er/" : "/";
      write_png(folder + place + std::to_string(k) + ".png",
                {k + 1, 2, 1, 8, std::vector<std::uint16_t>(2 * static_cast<std::size_t>(k + 1), 0)});
    }
    std::ofstream(folder + "/deep/bad.jpg") << "not a picture";
    std::ofstream(folder + "/deep/notes.txt") << "x";
  }
  world.barrier();
  const auto together = open_images(folder, world);
  const auto alone = open_images(folder);
  ASSERT_EQ(together->entries().size(), 8u);
  EXPECT_EQ(together->ignored(), 1);
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_EQ(together->entries()[k].name, alone->entries()[k].name);
    EXPECT_EQ(together->entries()[k].id, alone->entries()[k].id);
    EXPECT_EQ(together->entries()[k].height, alone->entries()[k].height);
    EXPECT_EQ(together->entries()[k].height == 0, together->entries()[k].name == "deep/bad.jpg");
  }
  EXPECT_THROW(open_images(folder + "/deep/none", world), NotFoundError);
}

TEST_F(Images, ADamagedFileFailsWhenReadNotWhenListed) {
  std::ofstream(in("bad.png")) << "not a picture";
  png("good.png", 1, 1, 1, {255});
  const auto source = open_images(folder_);
  ASSERT_EQ(source->entries().size(), 2u);
  EXPECT_EQ(source->entries()[0].height, 0u);
  EXPECT_EQ(source->entries()[0].width, 0u);
  EXPECT_THROW(source->read(0, 1), DataError);
  EXPECT_EQ(source->read(1, 1).values, std::vector<float>{1});
  EXPECT_THROW(source->read(2, 1), InternalError);
  EXPECT_THROW(source->read(-1, 1), InternalError);
  EXPECT_THROW(source->read(1, 2), InternalError);
}

TEST_F(Images, AnEmptyFolderIsAnError) {
  std::ofstream(in("photo.heic")) << "x";
  const std::string text = message_of<DataError>([&] { open_images(folder_); });
  EXPECT_NE(text.find("1 file of another kind was left out"), std::string::npos) << text;
}

TEST_F(Images, WhatIsLeftOutIsCountedByKind) {
  png("a.png", 1, 1, 1, {0});
  png(".hidden.png", 1, 1, 1, {0});
  png("__MACOSX/._a.png", 1, 1, 1, {0});
  for (const char* name : {"b.heic", "c.heic", "d.BMP", "notes", "a.txt", "other.txt"})
    std::ofstream(in(name)) << "x";
  const auto source = open_images(folder_);
  ASSERT_EQ(source->entries().size(), 1u);
  EXPECT_EQ(source->ignored(), 7) << "a.txt goes with a.png";
  const std::vector<std::string> notes = source->notes();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_NE(
      notes[0].find("5 files of other kinds were left out (2 .heic, 1 without an ending, 1 .BMP, 1 .txt)"),
      std::string::npos)
      << notes[0];
  EXPECT_NE(notes[1].find("2 hidden files or folders were left out"), std::string::npos) << notes[1];
}

TEST_F(Images, AFolderInItThatCannotBeListedIsNamedAndLeftOut) {
  if (geteuid() == 0) GTEST_SKIP() << "nothing is closed to root";
  png("a.png", 1, 1, 1, {0});
  png("closed/b.png", 1, 1, 1, {0});
  fs::permissions(in("closed"), fs::perms::none);
  const auto source = open_images(folder_);
  fs::permissions(in("closed"), fs::perms::owner_all);
  ASSERT_EQ(source->entries().size(), 1u);
  ASSERT_EQ(source->notes().size(), 1u);
  EXPECT_NE(source->notes()[0].find("the folder closed cannot be listed and was left out"), std::string::npos)
      << source->notes()[0];
}

TEST_F(Images, OnePictureAndAPatternAreAsInTheirFolder) {
  png("a.png", 1, 1, 1, {0});
  png("b.png", 2, 1, 1, {255, 0});
  png("in/b.png", 3, 1, 1, {255, 0, 0});
  std::ofstream(in("b.heic")) << "x";
  const auto all = open_images(folder_), one = open_images(in("b.png")), some = open_images(in("[ab].*")),
             below = open_images(in("*/*.png"));
  ASSERT_EQ(one->entries().size(), 1u);
  EXPECT_EQ(one->entries()[0].id, all->entries()[1].id);
  EXPECT_EQ(one->entries()[0].name, "b.png");
  EXPECT_EQ(one->read(0, 1).values, (std::vector<float>{1, -1}));
  EXPECT_TRUE(one->notes().empty());
  ASSERT_EQ(some->entries().size(), 2u);
  EXPECT_EQ(some->entries()[1].id, all->entries()[1].id);
  EXPECT_EQ(some->ignored(), 1);
  ASSERT_EQ(below->entries().size(), 1u);
  EXPECT_EQ(below->entries()[0].name, "in/b.png");
  EXPECT_NE(message_of<DataError>([&] { open_images(in("*.jpg")); }).find("is empty"), std::string::npos);
  EXPECT_THROW(open_images(in("none/*.png")), NotFoundError);
  EXPECT_THROW(open_images(in("none.png")), NotFoundError);
}

TEST_F(Images, AnEmptyFolderSaysSo) {
  const std::string text = message_of<DataError>([&] { open_images(folder_); });
  EXPECT_NE(text.find("is empty"), std::string::npos) << text;
}

TEST_F(Images, ArraysMayHaveAnyRange) {
  write_npy(in("x.npy"), {1, 1, 1, 3}, std::vector<float>{0, 0.5, 1});
  const auto source = open_images(in("x.npy"), {.background = {}, .range = ValueRange{0, 1}});
  EXPECT_EQ(source->read(0, 1).values, (std::vector<float>{-1, 0, 1}));
  EXPECT_EQ(source->range(), (ValueRange{0, 1}));
  EXPECT_TRUE(source->read_as_is(0).floating_point);
  const std::string text = message_of<DataError>([&] {
    open_images(in("x.npy"), {.background = {}, .range = ValueRange{0, 0.5}})->read(0, 1);
  });
  EXPECT_NE(text.find("input.range"), std::string::npos) << text;
  EXPECT_EQ(open_images(std::string(DWGF_TEST_DATA) + "/store/uint8.npy")->range(), (ValueRange{0, 255}));
}

TEST_F(Images, SamplesAreScaledAndOrderedByChannel) {
  png("x.png", 1, 2, 3, {0, 255, 51, 102, 204, 255});
  png("y.png", 1, 2, 1, {0, 65535}, 16);
  png("z.png", 1, 2, 4, {255, 0, 0, 255, 0, 0, 255, 255});
  const auto source = open_images(folder_);
  const auto colour = source->read(0, 3);
  EXPECT_EQ(colour.channels, 3);
  const std::vector<float> expected{-1, -0.2f, 1, 0.6f, -0.6f, 1};
  ASSERT_EQ(colour.values.size(), 6u);
  for (std::size_t k = 0; k < 6; ++k) EXPECT_NEAR(colour.values[k], expected[k], 1e-6);
  const auto grey = source->read(0, 1);
  EXPECT_EQ(grey.channels, 1);
  EXPECT_NEAR(grey.values[0], 0.299 * -1 + 0.587 * 1 + 0.114 * -0.6, 1e-6);
  EXPECT_EQ(source->read(1, 3).values, (std::vector<float>{-1, 1, -1, 1, -1, 1}));
  EXPECT_EQ(source->read(2, 3).values, (std::vector<float>{1, -1, -1, -1, -1, 1}));
}

TEST_F(Images, TransparencyIsRefused) {
  png("clear.png", 1, 2, 2, {7, 255, 8, 254});
  const std::string text = message_of<DataError>([&] { open_images(folder_)->read(0, 1); });
  EXPECT_NE(text.find("(0, 1)"), std::string::npos) << text;
}

TEST_F(Images, ArraysOfNumpyHaveRowsAsIdentity) {
  std::vector<float> values(2 * 3 * 2 * 2);
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k) / 24;
  write_npy(in("x.npy"), {2, 3, 2, 2}, values);
  const auto source = open_images(in("x.npy"));
  ASSERT_EQ(source->entries().size(), 2u);
  EXPECT_EQ(source->entries()[1].id, 1u);
  EXPECT_EQ(source->entries()[1].name, "x.npy[1]");
  EXPECT_EQ(source->entries()[1].height, 2u);
  EXPECT_EQ(source->read(1, 3).values, std::vector<float>(values.begin() + 12, values.end()));
  EXPECT_NEAR(source->read(1, 1).values[3], 0.299 * values[15] + 0.587 * values[19] + 0.114 * values[23],
              1e-6);
  const auto levels = open_images(std::string(DWGF_TEST_DATA) + "/store/uint8.npy");
  ASSERT_EQ(levels->entries().size(), 1u);
  EXPECT_EQ(levels->read(0, 3).values[11], 1.0f);
  EXPECT_NEAR(levels->read(0, 3).values[9], 9 / 127.5 - 1, 1e-6);
}

TEST_F(Images, ValuesThatAreNotPixelsAreNamedWithTheirPlace) {
  std::vector<float> values(2 * 1 * 3 * 4, 0.5f);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(), 1.0011f, 200.0f}) {
    values[12 + 6] = bad;
    write_npy(in("bad.npy"), {2, 1, 3, 4}, values);
    const auto source = open_images(in("bad.npy"));
    EXPECT_NO_THROW(source->read(0, 1));
    const std::string text = message_of<DataError>([&] { source->read(1, 1); });
    for (const std::string& part : {in("bad.npy"), std::string("row 1"), std::string("(1, 2)")}) {
      EXPECT_NE(text.find(part), std::string::npos) << text;
    }
  }
  values[18] = 1.0009f;
  write_npy(in("fine.npy"), {2, 1, 3, 4}, values);
  EXPECT_NO_THROW(open_images(in("fine.npy"))->read(1, 1));
}

TEST_F(Images, ShapesThatAreNotImagesAreRefused) {
  const std::vector<float> values(24, 0);
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{
           {24}, {4, 6}, {2, 3, 4}, {2, 2, 2, 3}, {1, 1, 1, 4, 6}, {4, 2, 3, 1}}) {
    write_npy(in("shape.npy"), shape, values);
    EXPECT_THROW(open_images(in("shape.npy")), DataError) << shape.size();
  }
  write_npy(in("none.npy"), {0, 3, 4, 4}, {});
  EXPECT_THROW(open_images(in("none.npy")), DataError);
}

TEST_F(Images, DatasetsOfHdf5FilesAreRead) {
  const std::vector<double> values{-1, -0.5, 0, 0.25, 0.5, 1, -1, 0};
  hdf5("f.h5", H5T_IEEE_F64BE, {2, 1, 2, 2}, values.data(), H5T_NATIVE_DOUBLE);
  const auto source = open_images(in("f.h5") + ":/pictures");
  ASSERT_EQ(source->entries().size(), 2u);
  EXPECT_EQ(source->entries()[1].id, 1u);
  EXPECT_EQ(source->entries()[1].name, "f.h5:/pictures[1]");
  EXPECT_EQ(source->read(1, 1).values, (std::vector<float>{0.5f, 1, -1, 0}));
  const std::vector<unsigned char> levels{0, 255, 51};
  hdf5("u.h5", H5T_STD_U8LE, {3, 1, 1}, levels.data(), H5T_NATIVE_UCHAR, true);
  EXPECT_NEAR(open_images(in("u.h5") + ":/pictures")->read(0, 3).values[2], -0.6, 1e-6);
}

TEST_F(Images, WhatCannotBeOpenedIsSaid) {
  const std::vector<int> numbers(4, 0);
  hdf5("i.h5", H5T_STD_I32LE, {1, 1, 2, 2}, numbers.data(), H5T_NATIVE_INT);
  testing::internal::CaptureStderr();
  EXPECT_THROW(open_images(in("i.h5") + ":/pictures"), DataError);
  EXPECT_THROW(open_images(in("i.h5") + ":/none"), DataError);
  EXPECT_THROW(open_images(in("i.h5") + ":/"), DataError);
  EXPECT_NE(message_of<DataError>([&] { open_images(in("i.h5")); }).find(":/dataset"), std::string::npos);
  EXPECT_THROW(open_images(in("none.h5") + ":/x"), NotFoundError);
  EXPECT_THROW(open_images(in("none.npy")), NotFoundError);
  EXPECT_THROW(open_images(in("none")), NotFoundError);
  EXPECT_THROW(open_images(""), NotFoundError);
  std::ofstream(in("text.h5")) << "not a file of HDF5";
  EXPECT_THROW(open_images(in("text.h5") + ":/x"), DataError);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace dwgf
