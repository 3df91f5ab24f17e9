// Pictures from results.
#include <set>

#include <gtest/gtest.h>

#include "data/npy.hpp"
#include "data/png.hpp"
#include "finished_job.hpp"
#include "refusals.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Export : public FinishedJob {
 protected:
  static std::set<std::string> names_in(const fs::path& path) {
    std::set<std::string> names;
    for (const auto& file : fs::directory_iterator(path)) names.insert(file.path().filename());
    return names;
  }
};

TEST_F(Export, WritesAPictureOfEverythingAndOneSheet) {
  const fs::path to = folder / "png/nested";
  const Finished finished = run(2, {"export", results(), "--to", to});
  expect_code(finished, 0);
  std::set<std::string> expected = {"contact_sheet.png"};
  for (const char* stem : {"000000_a", "000001_b_c", "000002_inner_d"}) {
    for (const char* part : {"truth", "measurement", "baseline", "mean", "std"})
      expected.insert(std::string(stem) + "." + part + ".png");
  }
  EXPECT_EQ(names_in(to), expected);
  EXPECT_EQ(finished.out, (to / "contact_sheet.png").string() + "\n");

  const PngImage sheet = read_png(to / "contact_sheet.png");
  EXPECT_GT(sheet.height, 3 * 32);
  EXPECT_GT(sheet.width, 5 * 32);
  EXPECT_EQ(sheet.bits, 8);
  const PngImage truth = read_png(to / "000001_b_c.truth.png"), original = read_png(pictures() / "b c.png");
  EXPECT_EQ(truth.samples, original.samples);
  EXPECT_EQ(read_png(to / "000000_a.measurement.png").height, 8);
}

TEST_F(Export, WritesSixteenBitsAndArraysOnRequest) {
  expect_code(run(0, {"export", results(), "--to", folder / "png16", "--format", "png16", "--sheet", "0"}),
              0);
  EXPECT_EQ(read_png(folder / "png16/000000_a.mean.png").bits, 16);
  EXPECT_FALSE(fs::exists(folder / "png16/contact_sheet.png"));

  expect_code(run(0, {"export", results(), "--to", folder / "npy", "--format", "npy"}), 0);
  const NpyFile mean(folder / "npy/000002_inner_d.mean.npy");
  EXPECT_EQ(mean.shape(), (std::vector<std::int64_t>{3, 32, 32}));
  EXPECT_EQ(mean.read(0, mean.size()),
            ResultsFile::open_for_reading(results()).read_floats("/posterior/mean", 2));
}

TEST_F(Export, OverwritesNothingUnlessTold) {
  const fs::path to = new_folder("mine");
  write_text(to / "000000_a.truth.png", "mine");
  expect_refusals(
      {{"a picture is there", {"export", results(), "--to", to}, 74, {"000000_a.truth.png", "--overwrite"}}});
  EXPECT_EQ(read_text(to / "000000_a.truth.png"), "mine");
  expect_code(run(0, {"export", results(), "--to", to, "--overwrite"}), 0);
  EXPECT_EQ(read_png(to / "000000_a.truth.png").width, 32);
}

TEST_F(Export, SaysWhereItCannotWrite) {
  write_text(folder / "file", "a regular file");
  expect_refusals(
      {{"below a file",
        {"export", results(), "--to", folder / "file/pictures"},
        74,
        {"--to", "file/pictures"}},
       {"in /proc", {"export", results(), "--to", "/proc/pictures"}, 74, {"--to", "/proc/pictures"}}});
}

}  // namespace
}  // namespace dwgf::test
