// Images that cannot be restored among others that can: the others are, and the reasons are told and kept.
#include <limits>

#include <gtest/gtest.h>

#include "data/npy.hpp"
#include "refusals.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

/// Lines of standard error that tell of a failed image.
std::vector<std::string> told(const Finished& finished) {
  std::vector<std::string> lines;
  for (const std::string& line : own_lines(finished.err)) {
    if (contains(line, "failed: ")) lines.push_back(line);
  }
  return lines;
}

class BadImages : public testing::Test {
 protected:
  fs::path folder = new_folder("images");
  fs::path out = folder / "r.h5";

  void expect_failed(const Finished& finished, std::size_t row, const std::string& word) const {
    const auto results = ResultsFile::open_for_reading(out);
    for (std::size_t k = 0; k < results.layout().images.size(); ++k) {
      const auto index = static_cast<std::int64_t>(k);
      EXPECT_EQ(results.state(index), k == row ? ImageState::failed : ImageState::committed) << "image " << k;
      if (k == row) continue;
      EXPECT_EQ(results.compute_crc32(index), results.stored_crc32(index));
    }
    const std::string reason = results.reason(static_cast<std::int64_t>(row));
    EXPECT_TRUE(contains(reason, word)) << reason;
    ASSERT_EQ(told(finished).size(), 1u) << finished.err;
    EXPECT_TRUE(contains(told(finished).front(), reason)) << finished.err;
    EXPECT_TRUE(contains(told(finished).front(), results.layout().images[row].name)) << finished.err;
  }
  fs::path array_with(float value, std::int64_t row) const {
    std::vector<float> values(3 * 3 * 32 * 32, 0.25f);
    values[static_cast<std::size_t>(row * 3 * 32 * 32 + 77)] = value;
    write_npy((folder / "a.npy").string(), {3, 3, 32, 32}, values);
    return folder / "a.npy";
  }
};

TEST_F(BadImages, OneThatIsNotFiniteFailsAlone) {
  const Finished finished = run(3, small_job(array_with(std::numeric_limits<float>::quiet_NaN(), 1), out));
  expect_code(finished, 3);
  expect_readable(finished);
  expect_failed(finished, 1, "a.npy");
}

TEST_F(BadImages, OneThatIsTruncatedFailsAloneAndIsTriedAgain) {
  const fs::path pictures = folder / "pictures";
  fs::create_directory(pictures);
  for (unsigned k = 0; k < 3; ++k) make_picture(pictures / (std::to_string(k) + ".png"), k);
  cut(pictures / "2.png", folder / "cut", 600);
  fs::copy_file(folder / "cut", pictures / "2.png", fs::copy_options::overwrite_existing);
  const Finished finished = run(0, small_job(pictures, out));
  expect_code(finished, 3);
  expect_readable(finished);
  expect_failed(finished, 2, "2.png");

  make_picture(pictures / "2.png", 2);  // of the same size, so the job is the same
  expect_code(run(0, small_job(pictures, out)), 0);
  EXPECT_EQ(ResultsFile::open_for_reading(out).state(2), ImageState::committed);
}

TEST_F(BadImages, OnesThatAreAllBadEndTheJobAsBadData) {
  const fs::path pictures = folder / "pictures";
  fs::create_directory(pictures);
  write_text(pictures / "a.png", "not a picture");
  make_picture(pictures / "b.png", 1);
  cut(pictures / "b.png", folder / "cut", 600);
  fs::copy_file(folder / "cut", pictures / "b.png", fs::copy_options::overwrite_existing);
  const Finished finished = run(3, small_job(pictures, out));
  expect_code(finished, 65);
  expect_readable(finished);
  EXPECT_EQ(told(finished).size(), 2u) << finished.err;
}

TEST_F(BadImages, OnesOfWhichNotEvenTheSizeCanBeReadAreBadDataToo) {
  const fs::path pictures = folder / "pictures";
  fs::create_directory(pictures);
  write_text(pictures / "a.png", "not a picture");
  const Finished finished = run(0, small_job(pictures, out));
  expect_code(finished, 65);
  expect_readable(finished);
  EXPECT_TRUE(contains(finished.err, "a.png")) << finished.err;
}

TEST_F(BadImages, TheWholeReasonIsPrintedThoughTheFileKeepsItsBeginning) {
  const Finished finished = run(0, small_job(array_with(100.0f, 0), out));
  expect_code(finished, 3);
  expect_failed(finished, 0, "the value 100");
  EXPECT_TRUE(contains(finished.err, "input.range = 0,1")) << "the last words are what to do:\n"
                                                           << finished.err;
}

TEST_F(BadImages, OneThatIsTheOnlyOneAndNotFiniteIsBadData) {
  std::vector<float> values(3 * 32 * 32, std::numeric_limits<float>::infinity());
  write_npy((folder / "one.npy").string(), {3, 32, 32}, values);
  const Finished finished = run(0, small_job(folder / "one.npy", out));
  expect_code(finished, 65);
  expect_readable(finished);
  ASSERT_EQ(told(finished).size(), 1u) << finished.err;
  EXPECT_TRUE(contains(told(finished).front(), "one.npy")) << finished.err;
}

TEST_F(BadImages, AnEmptyPictureFolderEntryOfNoSizeDoesNotStopTheJob) {
  const fs::path pictures = folder / "pictures";
  fs::create_directory(pictures);
  write_text(pictures / "a.png", "");
  make_picture(pictures / "b.png", 1);
  const Finished finished = run(0, small_job(pictures, out));
  expect_code(finished, 3);
  expect_failed(finished, 0, "a.png");
}

}  // namespace
}  // namespace dwgf::test
