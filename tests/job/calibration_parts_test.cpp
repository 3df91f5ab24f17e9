// Sums that were kept by one number of ranks and taken up by another; no block counts twice or is lost.
#include "job/calibration_parts.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "comm/throw_on_all.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

class CalibrationPartsTest : public testing::Test {
 protected:
  CalibrationPartsTest() { fs::create_directories(folder); }
  ~CalibrationPartsTest() override { fs::remove_all(folder); }

  CalibrationParts parts(std::uint64_t identity = 1) const {
    return {(folder / "m").string(), identity, 4, 2};
  }
  std::string path(int rank) const { return (folder / formatted("m.part-{}", rank)).string(); }

  /// As a rank of a run that ends there.
  void keep(int rank, const std::vector<std::uint8_t>& done, const std::vector<std::int64_t>& sums) const {
    parts().keep(rank, {done, sums});
  }

  fs::path folder = "calibration-parts-test";
  SelfCollective alone;
};

using Done = std::vector<std::uint8_t>;
using Sums = std::vector<std::int64_t>;

TEST_F(CalibrationPartsTest, SerialNothingThereIsNothingDone) {
  Done done;
  const CalibrationPart part = parts().take_up(alone, done);
  EXPECT_EQ(done, Done(4));
  EXPECT_EQ(part.done, Done(4));
  EXPECT_EQ(part.sums, Sums(2));
}

TEST_F(CalibrationPartsTest, SerialOfSeveralRanksAreAddedUpByOne) {
  keep(0, {1, 0, 0, 0}, {1, 2});
  keep(1, {0, 0, 1, 0}, {10, 20});
  keep(12, {0, 1, 0, 0}, {100, 200});
  CalibrationParts all = parts();
  Done done;
  const CalibrationPart part = all.take_up(alone, done);
  EXPECT_EQ(done, Done({1, 1, 1, 0}));
  EXPECT_EQ(part.done, done);
  EXPECT_EQ(part.sums, Sums({111, 222}));
  all.keep(0, part);
  EXPECT_TRUE(fs::exists(path(0)));
  EXPECT_FALSE(fs::exists(path(1)) || fs::exists(path(12)));
  EXPECT_EQ(parts().take_up(alone, done).sums, Sums({111, 222}));
  all.remove();
  EXPECT_FALSE(fs::exists(path(0)));
}

TEST_F(CalibrationPartsTest, SerialCountOnceWhatAKilledRunHadTakenUpAlready) {
  keep(3, {0, 1, 1, 0}, {5, 5});
  keep(0, {1, 1, 1, 0}, {7, 7});  // holds what part 3 holds; killed before that was removed
  Done done;
  EXPECT_EQ(parts().take_up(alone, done).sums, Sums({7, 7}));
  EXPECT_EQ(done, Done({1, 1, 1, 0}));
}

TEST_F(CalibrationPartsTest, SerialOfAnotherCalibrationAreRefused) {
  keep(0, {1, 0, 0, 0}, {1, 2});
  Done done;
  EXPECT_THROW(parts(2).take_up(alone, done), CollectiveError);
  fs::resize_file(path(0), fs::file_size(path(0)) - 8);
  EXPECT_THROW(parts().take_up(alone, done), CollectiveError);
}

TEST_F(CalibrationPartsTest, SerialDamagedAreRefused) {
  keep(0, {1, 0, 0, 0}, {1, 2});
  std::fstream file(path(0), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put(7);
  file.close();
  Done done;
  EXPECT_THROW(parts().take_up(alone, done), CollectiveError);
}

TEST_F(CalibrationPartsTest, SerialOtherFilesAreLeftAlone) {
  keep(0, {1, 0, 0, 0}, {1, 2});
  fs::copy(path(0), folder / "m.part-0.part");
  fs::copy(path(0), folder / "mm.part-1");
  Done done;
  EXPECT_EQ(parts().take_up(alone, done).sums, Sums({1, 2}));
  parts().remove();
  EXPECT_TRUE(fs::exists(folder / "m.part-0.part") && fs::exists(folder / "mm.part-1"));
}

}  // namespace
}  // namespace dwgf
