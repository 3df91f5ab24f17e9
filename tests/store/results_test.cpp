#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>
#include <hdf5.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

Communicator world() {
  return Communicator::world();
}

void barrier() {
  world().barrier();
}

// One image's data, each dataset's row in equal parts by all ranks of the group.
void write_row_together(ResultsFile& file, std::int64_t row, int rank, int size) {
  for (const auto& dataset : file.layout().datasets) {
    const auto bytes = row_bytes_of(dataset, row);
    const auto value = static_cast<std::int64_t>(size_of(dataset.type)), values = dataset.row_values();
    const std::int64_t begin = values * rank / size, end = values * (rank + 1) / size;
    file.write(dataset.path, row, begin, std::span(bytes).subspan(begin * value, (end - begin) * value));
  }
}

void expect_row(const ResultsFile& file, std::int64_t row) {
  for (const auto& dataset : file.layout().datasets) {
    EXPECT_EQ(file.read(dataset.path, row), row_bytes_of(dataset, row)) << dataset.path << ", row " << row;
  }
  EXPECT_EQ(file.state(row), ImageState::committed);
  EXPECT_EQ(file.stored_crc32(row), expected_crc32(file.layout(), row));
  EXPECT_EQ(file.compute_crc32(row), file.stored_crc32(row));
  EXPECT_EQ(file.reason(row), "");
}

/// @param named  the file was opened to read: who writes has no use for the names of images
void expect_layout(const ResultsLayout& found, const ResultsLayout& expected, bool named) {
  ASSERT_EQ(found.images.size(), expected.images.size());
  for (std::size_t k = 0; k < expected.images.size(); ++k) {
    EXPECT_EQ(found.images[k].id, expected.images[k].id);
    EXPECT_EQ(found.images[k].name, named ? expected.images[k].name : "");
    EXPECT_EQ(found.images[k].height, expected.images[k].height);
    EXPECT_EQ(found.images[k].width, expected.images[k].width);
  }
  EXPECT_EQ(found.attributes, expected.attributes);
  ASSERT_EQ(found.datasets.size(), expected.datasets.size());
  for (const auto& dataset : expected.datasets) {
    const auto* same = found.find(dataset.path);
    ASSERT_NE(same, nullptr) << dataset.path;
    EXPECT_EQ(same->type, dataset.type);
    EXPECT_EQ(same->row_shape, dataset.row_shape);
  }
}

/// The shape of a dataset's pieces; empty where it lies in one.
std::vector<hsize_t> pieces_of(const std::string& path, const char* dataset) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t opened = H5Dopen2(file, dataset, H5P_DEFAULT), list = H5Dget_create_plist(opened);
  std::vector<hsize_t> pieces(8);
  pieces.resize(H5Pget_layout(list) == H5D_CHUNKED
                    ? static_cast<std::size_t>(H5Pget_chunk(list, 8, pieces.data()))
                    : 0);
  H5Pclose(list);
  H5Dclose(opened);
  H5Fclose(file);
  return pieces;
}

TEST(Results, OfLargeImagesLieInRegions) {
  const std::string path = temporary("large.h5");
  ResultsLayout layout = small_layout(2);
  layout.datasets = {{"/posterior/mean", NumberType::float32, {1, 2100, 2050}},
                     {"/posterior/std", NumberType::float32, {1, 2000, 2050}},
                     {"/measurement/y", NumberType::float32, {1 << 23}}};
  {
    auto file = ResultsFile::create(path, layout, world());
    write_row_together(file, 1, world().rank(), world().size());
    barrier();
    if (world().rank() == 0) file.commit(1, expected_crc32(layout, 1), 1.0f);
    file.close();
  }
  barrier();
  expect_row(ResultsFile::open_for_reading(path), 1);
  if (!on_one_rank()) return;
  EXPECT_EQ(pieces_of(path, "/posterior/mean"), (std::vector<hsize_t>{1, 1, 512, 512}));
  EXPECT_EQ(pieces_of(path, "/posterior/std"), std::vector<hsize_t>()) << "below 2^22 pixels";
  EXPECT_EQ(pieces_of(path, "/measurement/y"), std::vector<hsize_t>()) << "no picture";
}

TEST(Results, IsWrittenByRowsAndReadBack) {
  const std::string path = temporary("rows.h5");
  const auto layout = small_layout(9);
  {
    auto file = ResultsFile::create(path, layout, world());
    expect_layout(file.layout(), layout, /*named=*/false);
    EXPECT_EQ(file.states(), std::vector<ImageState>(9, ImageState::not_done));
    barrier();
    for (std::int64_t row = world().rank(); row < 9; row += world().size()) {
      write_row_together(file, row, 0, 1);
      file.commit(row, expected_crc32(layout, row), 0.5f * static_cast<float>(row));
      expect_row(file, row);
    }
    file.close();
  }
  const auto file = ResultsFile::open_for_reading(path);
  expect_layout(file.layout(), layout, /*named=*/true);
  EXPECT_EQ(file.states(), std::vector<ImageState>(9, ImageState::committed));
  for (std::int64_t row = 0; row < 9; ++row) {
    expect_row(file, row);
    EXPECT_EQ(file.seconds(row), 0.5f * static_cast<float>(row));
  }
  EXPECT_FALSE(fs::exists(path + ".creating"));
}

TEST(Results, IsWrittenByPartsOfRowsInEveryGrouping) {
  for (int size = 1; size <= world().size(); ++size) {
    const std::string path = temporary("parts" + std::to_string(size) + ".h5");
    const auto layout = small_layout(5);
    auto file = ResultsFile::create(path, layout, world(), Durability::kill_safe);
    const int group = world().rank() / size, groups = (world().size() + size - 1) / size;
    Communicator ranks = world().split(group, world().rank());
    for (std::int64_t row = group; row < 5; row += groups) {
      write_row_together(file, row, ranks.rank(), ranks.size());
      ranks.barrier();
      if (ranks.rank() == 0) file.commit(row, expected_crc32(layout, row), 1);
      ranks.barrier();
      expect_row(file, row);
    }
    barrier();
    for (std::int64_t row = 0; row < 5; ++row) expect_row(file, row);
    file.close();
  }
}

TEST(Results, EveryPartOfARowIsWhereItBelongs) {
  const std::string path = temporary("one.h5");
  auto layout = small_layout(3);
  auto file = ResultsFile::create(path, layout, world(), Durability::kill_safe);
  const DatasetLayout& dataset = *layout.find("/particles/x");
  if (world().rank() == 0) {
    for (std::int64_t begin = 0; begin < dataset.row_values(); begin += 8) {
      for (std::int64_t end = begin; end <= dataset.row_values(); end += 5) {
        std::vector<std::byte> expected(dataset.row_bytes(), std::byte{9});
        file.write(dataset.path, 1, 0, expected);
        const auto bytes = row_bytes_of(dataset, begin * 200 + end);
        std::copy(bytes.begin() + begin, bytes.begin() + end, expected.begin() + begin);
        file.write(dataset.path, 1, begin, std::span(bytes).subspan(begin, end - begin));
        ASSERT_EQ(file.read(dataset.path, 1), expected) << begin << " ... " << end;
      }
    }
    EXPECT_EQ(file.read(dataset.path, 0), std::vector<std::byte>(dataset.row_bytes()))
        << "neighbours are untouched";
    EXPECT_EQ(file.read(dataset.path, 2), std::vector<std::byte>(dataset.row_bytes()));
  }
  file.close();
}

TEST(Results, PaddingOfSmallerImagesStaysAsWritten) {
  const std::string path = temporary("nan.h5");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto file = ResultsFile::create(path, small_layout(2), world());
  if (world().rank() == 0) {
    file.write("/posterior/mean", 0, 0, to_bytes(std::vector<float>(35, nan), NumberType::float32));
    for (std::int64_t y = 0; y < 3; ++y) {
      file.write("/posterior/mean", 0, y * 7, to_bytes(std::vector<float>(4, 0.25f), NumberType::float32));
    }
    const auto values = file.read_floats("/posterior/mean", 0);
    for (std::int64_t y = 0; y < 5; ++y) {
      for (std::int64_t x = 0; x < 7; ++x) {
        const float value = values[y * 7 + x];
        if (y < 3 && x < 4) {
          EXPECT_EQ(value, 0.25f);
        } else {
          EXPECT_TRUE(std::isnan(value));
        }
      }
    }
  }
  file.close();
}

TEST(Results, ChecksumsOfPartsCombineToTheChecksumOfTheWhole) {
  const auto layout = small_layout(2);
  const auto covered = checksummed_datasets(layout);
  std::vector<std::string> order;
  for (const auto& dataset : covered) order.push_back(dataset.path);
  EXPECT_EQ(order, (std::vector<std::string>{"/posterior/mean", "/posterior/std", "/particles/x",
                                             "/particles/z", "/measurement/y", "/diagnostics/misfit"}));
  // The CRC-32 by its definition, bit by bit.
  std::vector<std::byte> all;
  for (const auto& dataset : covered) {
    const auto bytes = row_bytes_of(dataset, 1);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte byte : all) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  EXPECT_EQ(expected_crc32(layout, 1), ~crc);
  const std::string check = "123456789";
  EXPECT_EQ(crc32_of(std::as_bytes(std::span(check))), 0xCBF43926u);
  EXPECT_EQ(crc32_of({}), 0u);
  for (std::size_t cut : {std::size_t{0}, std::size_t{1}, all.size() / 2, all.size()}) {
    const auto first = std::span(all).first(cut), second = std::span(all).subspan(cut);
    EXPECT_EQ(crc32_combine(crc32_of(first), crc32_of(second), second.size()), ~crc);
  }
}

TEST(Results, GoesOnAfterReopening) {
  const std::string path = temporary("resume.h5");
  const auto layout = small_layout(6);
  {
    auto file = ResultsFile::create(path, layout, world());
    if (world().rank() == 0) {
      write_row_together(file, 2, 0, 1);
      file.commit(2, expected_crc32(layout, 2), 1);
      file.fail(4, "diverged at step 7: " + std::string(200, 'x'), 2);
    }
    file.close();
  }
  auto file = ResultsFile::open_for_writing(path, world());
  expect_layout(file.layout(), layout, /*named=*/false);
  auto expected = std::vector<ImageState>(6, ImageState::not_done);
  expected[2] = ImageState::committed;
  expected[4] = ImageState::failed;
  EXPECT_EQ(file.states(), expected);
  EXPECT_EQ(file.reason(4), ("diverged at step 7: " + std::string(200, 'x')).substr(0, 128));
  EXPECT_EQ(file.seconds(4), 2.0f);
  expect_row(file, 2);
  barrier();
  if (world().rank() == world().size() - 1) {
    write_row_together(file, 4, 0, 1);
    file.commit(4, expected_crc32(layout, 4), 3);
  }
  barrier();
  expect_row(file, 4);
  // A reader beside the writers sees the commit, on a file that it had open before.
  const auto reader = ResultsFile::open_for_reading(path);
  EXPECT_EQ(reader.state(5), ImageState::not_done);
  expect_row(reader, 4);
  barrier();
  if (world().rank() == 0) file.fail(5, "late", 0);
  barrier();
  EXPECT_EQ(reader.state(5), ImageState::failed);
  EXPECT_EQ(reader.reason(5), "late");
  file.close();
}

TEST(Results, PromptsComeBackWhereAnyImageHasOne) {
  auto layout = small_layout(3);
  layout.images[1].prompt = "a café at night";
  const std::string with = temporary("prompts.h5"), without = temporary("no prompts.h5");
  ResultsFile::create(with, layout, world()).close();
  const ResultsLayout found = ResultsFile::open_for_reading(with).layout();
  EXPECT_EQ(found.images[0].prompt, "");
  EXPECT_EQ(found.images[1].prompt, "a café at night");
  EXPECT_TRUE(same_images(found, layout));
  layout.images[1].prompt.clear();
  EXPECT_FALSE(same_images(found, layout)) << "a prompt is part of what an image is";
  ResultsFile::create(without, layout, world()).close();
  EXPECT_TRUE(same_images(ResultsFile::open_for_reading(without).layout(), layout));
  EXPECT_LT(fs::file_size(without), fs::file_size(with));
  barrier();
  layout.shards = 3;
  layout.images[2].prompt = "b";
  const std::string sharded = temporary("sharded prompts.h5");
  ResultsFile::create(sharded, layout, world()).close();
  const ResultsFile whole = ResultsFile::open_for_reading(sharded);
  EXPECT_TRUE(same_images(whole.layout(), layout));
  for (const ResultsShard& shard : whole.shards()) EXPECT_EQ(shard.problem, "");
}

TEST(Results, LongNamesKeepTheirTail) {
  const std::string path = temporary("names.h5");
  auto layout = small_layout(3);
  const std::string umlauts = [] {
    std::string text;
    for (int k = 0; k < 200; ++k) text += "\xC3\xA4";
    return text;
  }();
  layout.images[0].name =
      umlauts + ".png";  // 404 bytes; a cut at 256 from the end falls between two characters
  layout.images[1].name = umlauts + "x.png";  // and here into one
  layout.images[2].name = std::string(256, 'n');
  auto file = ResultsFile::create(path, layout, world());
  const std::vector<ImageEntry> images = ResultsFile::open_for_reading(path).layout().images;
  EXPECT_EQ(images[0].name, umlauts.substr(400 - 252) + ".png");
  EXPECT_EQ(images[1].name, umlauts.substr(400 - 250) + "x.png");
  EXPECT_EQ(images[2].name, layout.images[2].name);
  if (world().rank() == 0) {
    file.fail(0, "a" + umlauts, 0);
    EXPECT_EQ(file.reason(0), "a" + umlauts.substr(0, 126));
  }
  file.close();
}

}  // namespace
}  // namespace dwgf
