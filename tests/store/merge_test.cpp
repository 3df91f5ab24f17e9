// Slices of one data set, merged: rows, commits and checksums as one file would have them.
#include "store/merge.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t images = 6;

/// The whole data set's layout cut to rows [first, last).
ResultsLayout layout_of(std::int64_t first, std::int64_t last) {
  ResultsLayout layout = small_layout(images);
  layout.images = {layout.images.begin() + first, layout.images.begin() + last};
  return layout;
}

/// A slice in which every row is committed with the values of its row in the data set, but for those named.
struct Slice {
  std::int64_t first, last;
  std::vector<std::int64_t> left = {}, failed = {};  // rows of the data set

  ResultsSlice write(const std::string& name) const {
    const std::string path = temporary_of_rank(name);
    const ResultsLayout layout = layout_of(first, last);
    ResultsFile file = ResultsFile::create(path, layout, Communicator::self(), Durability::kill_safe);
    const auto has = [](const std::vector<std::int64_t>& rows, std::int64_t row) {
      return std::find(rows.begin(), rows.end(), row) != rows.end();
    };
    for (std::int64_t row = first; row < last; ++row) {
      if (has(left, row)) continue;
      if (has(failed, row)) {
        file.fail(row - first, "no luck", 1.5f);
        continue;
      }
      for (const DatasetLayout& dataset : layout.datasets)
        file.write(dataset.path, row - first, 0, row_bytes_of(dataset, row));
      file.commit(row - first, expected_crc32(layout, row), static_cast<float>(row));
    }
    file.close();
    return {path, first};
  }
};

/// Row `row` of the data set stands in row `place` as it would in an undivided run's file.
void expect_row(const ResultsFile& file, std::int64_t place, std::int64_t row) {
  const ImageEntry expected = small_layout(images).images[static_cast<std::size_t>(row)];
  const ImageEntry& found = file.layout().images[static_cast<std::size_t>(place)];
  EXPECT_EQ(found.id, expected.id);
  EXPECT_EQ(found.name, expected.name);
  EXPECT_EQ(found.height, expected.height);
  ASSERT_EQ(file.state(place), ImageState::committed) << "row " << row;
  for (const DatasetLayout& dataset : small_layout(images).datasets)
    EXPECT_EQ(file.read(dataset.path, place), row_bytes_of(dataset, row)) << dataset.path << " row " << row;
  EXPECT_EQ(file.stored_crc32(place), expected_crc32(small_layout(images), row));
  EXPECT_EQ(file.compute_crc32(place), file.stored_crc32(place));
  EXPECT_EQ(file.seconds(place), static_cast<float>(row));
}

class MergeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!on_one_rank()) GTEST_SKIP() << "done by one rank";
  }
  std::string target(const std::string& name) { return temporary_of_rank(name); }
};

TEST_F(MergeTest, EveryDivisionGivesTheUndividedFile) {
  for (std::int64_t cut = 1; cut < images; ++cut) {
    const std::string tag = std::to_string(cut);
    const ResultsSlice late = Slice{cut, images}.write("late" + tag);
    const ResultsSlice early = Slice{0, cut}.write("early" + tag);
    const MergeReport report = merge_results({late, early}, target("whole" + tag), small_layout().attributes);
    EXPECT_EQ(report.images, images);
    EXPECT_EQ(report.committed, images);
    EXPECT_TRUE(report.gaps.empty());
    const ResultsFile whole = ResultsFile::open_for_reading(target("whole" + tag));
    ASSERT_EQ(whole.layout().images.size(), static_cast<std::size_t>(images));
    for (std::int64_t row = 0; row < images; ++row) expect_row(whole, row, row);
    EXPECT_EQ(whole.layout().attributes.at("job"), small_layout().attributes.at("job"));
  }
}

TEST_F(MergeTest, MoreSlicesThanAreKeptOpen) {
  std::vector<ResultsSlice> slices;
  for (std::int64_t copy = 0; copy < 4; ++copy) {
    for (std::int64_t row = 0; row < images; ++row)
      slices.push_back(Slice{row, row + 1}.write("one" + std::to_string(copy) + std::to_string(row)));
  }
  merge_results(slices, target("ones"), {});
  const ResultsFile whole = ResultsFile::open_for_reading(target("ones"));
  for (std::int64_t row = 0; row < images; ++row) expect_row(whole, row, row);
}

TEST_F(MergeTest, OfAnOverlapTheBestIsTaken) {
  const ResultsSlice a = Slice{0, 4, {1}, {2, 3}}.write("a");
  const ResultsSlice b = Slice{1, 6, {2, 5}, {}}.write("b");
  const MergeReport report = merge_results({a, b}, target("best"), {});
  const ResultsFile whole = ResultsFile::open_for_reading(target("best"));
  for (const std::int64_t row : {0, 1, 3, 4}) expect_row(whole, row, row);
  EXPECT_EQ(whole.state(2), ImageState::failed);
  EXPECT_EQ(whole.reason(2), "no luck");
  EXPECT_EQ(whole.state(5), ImageState::not_done);
  EXPECT_EQ(report.committed, 4);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.missing, 1);
}

TEST_F(MergeTest, GapsAreNamed) {
  const ResultsSlice a = Slice{1, 2}.write("gap-a"), b = Slice{4, 6}.write("gap-b");
  const MergeReport report = merge_results({a, b}, target("gap"), {});
  ASSERT_EQ(report.gaps.size(), 1u);
  EXPECT_EQ(report.gaps[0].first, 2);
  EXPECT_EQ(report.gaps[0].last, 4);
  const ResultsFile whole = ResultsFile::open_for_reading(target("gap"));
  expect_row(whole, 0, 1);
  expect_row(whole, 2, 5);
}

void flip(const std::string& path, const DatasetLayout& dataset, std::int64_t row) {
  std::ifstream in(path, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(in)), {});
  in.close();
  const std::vector<std::byte> bytes = row_bytes_of(dataset, row);
  const std::size_t at = content.find(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  ASSERT_NE(at, std::string::npos);
  content[at] = static_cast<char>(content[at] ^ 1);
  write_content(path, content);
}

TEST_F(MergeTest, DamagedImagesAreNotCarriedOverAndAnotherCopyIsTaken) {
  const ResultsSlice a = Slice{0, 3}.write("hurt-a"), b = Slice{2, 6}.write("hurt-b");
  const DatasetLayout mean = *small_layout().find("/posterior/mean");
  flip(a.path, mean, 1);
  flip(a.path, mean, 2);
  const MergeReport report = merge_results({a, b}, target("hurt"), {});
  const ResultsFile whole = ResultsFile::open_for_reading(target("hurt"));
  EXPECT_EQ(whole.state(1), ImageState::not_done);
  expect_row(whole, 2, 2);
  EXPECT_EQ(report.missing, 1);
  ASSERT_EQ(report.damaged.size(), 2u);
  for (const DamagedImage& image : report.damaged) EXPECT_EQ(image.path, a.path);
}

TEST_F(MergeTest, OverlapsThatDifferAreRefusedAndNothingIsWritten) {
  const ResultsSlice a = Slice{0, 3}.write("differ-a");
  const ResultsSlice b = Slice{2, 6}.write("differ-b");
  const DatasetLayout truth = *small_layout().find("/truth/x");
  flip(b.path, truth, 2);  // outside of the checksum
  const std::string text = message_of<DataError>([&] { merge_results({a, b}, target("differ"), {}); });
  for (const std::string& part : {a.path, b.path, std::string("row 2"), std::string("/truth/x")})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_FALSE(std::filesystem::exists(target("differ")));
  EXPECT_FALSE(std::filesystem::exists(target("differ") + ".merging"));
}

TEST_F(MergeTest, SlicesOfAnotherDataSetOrStructureAreRefused) {
  const ResultsSlice a = Slice{0, 3}.write("other-a");
  ResultsSlice shifted = Slice{3, 6}.write("other-b");
  shifted.first = 2;
  EXPECT_NE(message_of<DataError>([&] {
              merge_results({a, shifted}, target("other"), {});
            }).find("row 2"),
            std::string::npos);

  ResultsLayout fewer = layout_of(3, 6);
  fewer.datasets.pop_back();
  const std::string path = temporary_of_rank("fewer");
  ResultsFile::create(path, fewer, Communicator::self()).close();
  EXPECT_NE(message_of<DataError>([&] {
              merge_results({a, {path, 3}}, target("other"), {});
            }).find(path),
            std::string::npos);
}

TEST_F(MergeTest, TheOperatorOfAllSlicesIsOneAndIsCarriedOver) {
  const auto write = [](const std::string& name, std::int64_t first, float kernel) {
    ResultsLayout layout = layout_of(first, first + 2);
    layout.constants["kernel"] = {{2}, {kernel, 0.5f}};
    const std::string path = temporary_of_rank(name);
    ResultsFile::create(path, layout, Communicator::self()).close();
    return ResultsSlice{path, first};
  };
  const ResultsSlice a = write("kernel-a", 0, 0.25f), b = write("kernel-b", 2, 0.25f),
                     c = write("kernel-c", 4, 1.0f);
  merge_results({a, b}, target("kernel"), {});
  EXPECT_EQ(ResultsFile::open_for_reading(target("kernel")).read_constant("kernel").values,
            (std::vector<float>{0.25f, 0.5f}));
  const std::string text = message_of<DataError>([&] { merge_results({a, b, c}, target("kernels"), {}); });
  EXPECT_NE(text.find(c.path), std::string::npos) << text;
}

TEST_F(MergeTest, SmallerImagesAreFilledAsInAnUndividedFile) {
  const auto write = [](const std::string& name, std::int64_t height, std::int64_t width, float value) {
    ResultsLayout layout;
    layout.images = {{static_cast<std::uint64_t>(height), name, static_cast<std::uint32_t>(height),
                      static_cast<std::uint32_t>(width)}};
    layout.datasets = {{"/posterior/mean", NumberType::float32, {2, height, width}}};
    const std::string path = temporary_of_rank(name);
    ResultsFile file = ResultsFile::create(path, layout, Communicator::self());
    const std::vector<float> values(static_cast<std::size_t>(2 * height * width), value);
    const auto bytes = to_bytes(std::span<const float>(values), NumberType::float32);
    file.write("/posterior/mean", 0, 0, bytes);
    file.commit(0, crc32_of(bytes), 0.0f);
    file.close();
    return path;
  };
  merge_results({{write("tall", 3, 1, 1.0f), 0}, {write("wide", 2, 2, 2.0f), 1}}, target("sizes"), {});
  const ResultsFile whole = ResultsFile::open_for_reading(target("sizes"));
  ASSERT_EQ(whole.layout().find("/posterior/mean")->row_shape, (std::vector<std::int64_t>{2, 3, 2}));
  for (std::int64_t row = 0; row < 2; ++row) {
    const std::vector<float> values = whole.read_floats("/posterior/mean", row);
    const std::int64_t height = row == 0 ? 3 : 2, width = row == 0 ? 1 : 2;
    for (std::int64_t k = 0; k < 12; ++k) {
      const bool inside = k / 2 % 3 < height && k % 2 < width;
      const float value = values[static_cast<std::size_t>(k)];
      EXPECT_TRUE(inside ? value == static_cast<float>(row + 1) : std::isnan(value)) << row << " " << k;
    }
    EXPECT_EQ(whole.compute_crc32(row), whole.stored_crc32(row));
  }
}

TEST_F(MergeTest, AnExistingFileIsNotOverwritten) {
  const ResultsSlice a = Slice{0, 2}.write("exists-a");
  write_content(target("exists"), "mine");
  EXPECT_NE(message_of<IoError>([&] { merge_results({a}, target("exists"), {}); }).find("exists already"),
            std::string::npos);
}

}  // namespace
}  // namespace dwgf
