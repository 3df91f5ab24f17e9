#include "store/checkpoint.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t image = 0xFEDC000000000001, job = 77;

Snapshot snapshot_of(std::int64_t step, std::int64_t first, std::int64_t count) {
  Snapshot snapshot{step, {}, {}};
  for (int k = 0; k < 9; ++k) snapshot.shared.push_back(static_cast<std::byte>(step + k));
  for (std::int64_t number = first; number < first + count; ++number) {
    snapshot.pieces.push_back({number, std::vector<std::byte>(static_cast<std::size_t>(100 + number),
                                                              static_cast<std::byte>(step * 7 + number))});
  }
  return snapshot;
}

void expect_same(const Snapshot& found, const Snapshot& expected) {
  EXPECT_EQ(found.step, expected.step);
  EXPECT_EQ(found.shared, expected.shared);
  ASSERT_EQ(found.pieces.size(), expected.pieces.size());
  for (std::size_t k = 0; k < found.pieces.size(); ++k) {
    EXPECT_EQ(found.pieces[k].number, expected.pieces[k].number);
    EXPECT_EQ(found.pieces[k].bytes, expected.pieces[k].bytes);
  }
}

/// One rank each; the ranks of these tests only take part as one more place to run them.
class CheckpointFiles : public testing::Test {
 protected:
  std::string results =
      temporary_of_rank(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".h5";
  std::string folder = Checkpoints::folder(results);

  Checkpoints of(std::uint64_t which_image = image, std::uint64_t which_job = job) const {
    return {results, which_image, which_job, 5};
  }
  /// As two ranks write it.
  void write_all(std::int64_t step) const {
    of().write(snapshot_of(step, 0, 3));
    of().write(snapshot_of(step, 3, 2));
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    if (fs::exists(folder)) {
      for (const auto& file : fs::directory_iterator(folder)) all.push_back(file.path());
    }
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST_F(CheckpointFiles, AreReadByAnyLayout) {
  write_all(12);
  for (std::int64_t first = 0; first <= 5; ++first) {
    for (std::int64_t count = 0; first + count <= 5; ++count)
      expect_same(of().read(12, first, count), snapshot_of(12, first, count));
  }
}

TEST_F(CheckpointFiles, OfSeveralLayoutsAreReadTogether) {
  of().write(snapshot_of(12, 0, 1));  // by three ranks, of which one was killed before it had written
  of().write(snapshot_of(12, 4, 1));
  EXPECT_THROW(of().read(12, 0, 5), DataError);
  of().write(snapshot_of(12, 1, 3));
  expect_same(of().read(12, 0, 5), snapshot_of(12, 0, 5));
}

TEST_F(CheckpointFiles, AreListedNewestFirstAndTheLastTwoKept) {
  EXPECT_TRUE(of().steps().empty());
  Checkpoints first = of(), second = of();
  for (const std::int64_t step : {8, 9, 10, 100}) {
    for (Checkpoints* rank : {&first, &second}) {
      rank->write(snapshot_of(step, rank == &first ? 0 : 3, rank == &first ? 3 : 2));
      rank->remove_older();
    }
  }
  EXPECT_EQ(of().steps(), (std::vector<std::int64_t>{100, 10}));
  EXPECT_EQ(files().size(), 4u);
  expect_same(of().read(10, 0, 5), snapshot_of(10, 0, 5));
}

TEST_F(CheckpointFiles, AnyBitThatChangedIsFound) {
  if (!on_one_rank()) return;
  of().write(snapshot_of(3, 0, 1));
  const fs::path file = files().at(0);
  std::string content;
  {
    std::ifstream in(file, std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (std::size_t byte = 0; byte < content.size(); ++byte) {
    std::string changed = content;
    changed[byte] = static_cast<char>(changed[byte] ^ (1 << (byte % 8)));
    write_content(file, changed);
    EXPECT_THROW(of().read(3, 0, 1), DataError) << "byte " << byte;
  }
  for (std::size_t size = 0; size < content.size(); ++size) {
    write_content(file, content.substr(0, size));
    EXPECT_THROW(of().read(3, 0, 1), DataError) << size << " bytes";
  }
  write_content(file, content);
  EXPECT_NO_THROW(of().read(3, 0, 1));
}

TEST_F(CheckpointFiles, OfAnotherJobImageOrStepAreRefused) {
  write_all(5);
  EXPECT_THROW(of(image, job + 1).read(5, 0, 5), DataError);
  EXPECT_TRUE(of(image + 1).steps().empty());
  EXPECT_THROW(of(image + 1).read(5, 0, 5), DataError);
  EXPECT_THROW(of().read(6, 0, 5), DataError);
  fs::rename(files().at(0), files().at(0).string().replace(folder.size() + 1 + 16, 9, ".00000006"));
  EXPECT_THROW(of().read(6, 0, 3), DataError);  // the name is not what counts
}

TEST_F(CheckpointFiles, AreRemovedWithTheFolder) {
  write_all(5);
  of(image + 1).write(snapshot_of(9, 0, 5));
  of().remove();
  EXPECT_EQ(files().size(), 1u);
  of(image + 1).remove();
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_NO_THROW(of().remove());
}

TEST_F(CheckpointFiles, WhatNobodyNeedsIsRemovedAndNothingElse) {
  write_all(5);
  of(image + 1).write(snapshot_of(9, 0, 5));
  fs::copy_file(files().at(0), files().at(0).string() + ".part");
  std::ofstream(fs::path(folder) / "notes.txt") << "mine";
  Checkpoints::keep_only(results, std::vector<std::uint64_t>{image + 1});
  EXPECT_TRUE(of().steps().empty());
  expect_same(of(image + 1).read(9, 0, 5), snapshot_of(9, 0, 5));
  EXPECT_EQ(files().size(), 2u);  // the other image's and the foreign one
  EXPECT_NO_THROW(Checkpoints::keep_only(results + "never", {}));
}

TEST_F(CheckpointFiles, ThatCannotBeWrittenNameThePlaceAndTheBytes) {
  std::ofstream(folder) << "a file in the way";
  const std::string text = message_of<IoError>([&] { of().write(snapshot_of(3, 0, 5)); });
  EXPECT_NE(text.find(folder), std::string::npos) << text;
  EXPECT_NE(text.find("bytes"), std::string::npos) << text;
}

}  // namespace
}  // namespace dwgf
