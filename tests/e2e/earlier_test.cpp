// What the program of commit ee71882 wrote (tests/data/ee71882) is read, verified, evaluated and gone on
// with.
#include <chrono>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "refusals.hpp"
#include "results_bits.hpp"
#include "store/measurements.hpp"
#include "store/results.hpp"
#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Earlier : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new_folder("earlier") / "files";
    fs::copy(DWGF_TEST_DATA "/ee71882", folder, fs::copy_options::recursive);
  }

  /// The job that made them, in their folder: its names are relative.
  static Finished go_on(const Arguments& more) {
    return start_command(Arguments{"env", "-C", folder, program(), "restore", "--config", "job.ini"} + more)
        .wait(std::chrono::seconds(kPatience));
  }
  static std::string printed(const Arguments& arguments) {
    const Finished finished = run(0, arguments);
    expect_code(finished, 0);
    return finished.out + finished.err;
  }
  /// Others round differently.
  static bool same_kind_of_processor() {
    std::ifstream cpuinfo("/proc/cpuinfo");
    std::string line;
    while (std::getline(cpuinfo, line) && !line.starts_with("flags")) {
    }
    return line + "\n" == read_text(folder / "processor.txt");
  }
  static void expect_near(const ResultsFile& found, const ResultsFile& expected) {
    for (const char* dataset : {"/posterior/mean", "/posterior/std", "/measurement/y", "/truth/x"}) {
      for (const std::int64_t row : {0, 1}) {
        const std::vector<float> a = found.read_floats(dataset, row), b = expected.read_floats(dataset, row);
        ASSERT_EQ(a.size(), b.size());
        for (std::size_t k = 0; k < a.size(); ++k)
          EXPECT_NEAR(a[k], b[k], 0.02) << dataset << ", row " << row;
      }
    }
  }

  inline static fs::path folder;
};

TEST_F(Earlier, AResultsFileIsReadByEveryCommand) {
  const fs::path file = folder / "finished.h5";
  EXPECT_TRUE(contains(printed({"status", file}), "2 images: 2 done, 0 failed, 0 left"));
  EXPECT_TRUE(contains(printed({"status", folder / "stopped.h5"}), "2 images: 1 done, 0 failed, 1 left"));
  EXPECT_TRUE(contains(printed({"verify", file}), "2 right, 0 damaged, 0 failed, 0 missing"));
  const Finished evaluated = run(0, {"evaluate", file, "--json"});
  expect_code(evaluated, 0);
  const auto summary = nlohmann::json::parse(evaluated.out)["summary"]["psnr"];
  EXPECT_GT(summary["mean"].get<double>(), summary["baseline"].get<double>());
  printed({"report", file, "--to", folder / "page.html"});
  EXPECT_TRUE(contains(read_text(folder / "page.html"), "00_ankle-boot.png"));
  printed({"export", file, "--to", folder / "pictures"});
  printed({"merge", file, "--to", folder / "merged.h5"});
  EXPECT_EQ(difference(bits_of(folder / "merged.h5"), bits_of(file)), "");
  const Finished done = go_on({"--store.out", "finished.h5"});
  expect_code(done, 0);
  EXPECT_TRUE(contains(done.err, "2 of 2 images are in")) << done.err;
}

TEST_F(Earlier, AStoppedJobGoesOnFromItsCheckpointToTheSameBits) {
  const fs::path file = folder / "stopped.h5";
  const Finished done = go_on({"--store.out", "stopped.h5"});
  expect_code(done, 0);
  EXPECT_TRUE(contains(done.err, "1 of 2 images are in")) << done.err;
  EXPECT_TRUE(contains(done.err, "goes on after step")) << done.err;
  EXPECT_FALSE(fs::exists(file.string() + ".checkpoint"));
  expect_near(ResultsFile::open_for_reading(file), ResultsFile::open_for_reading(folder / "finished.h5"));
  if (same_kind_of_processor()) {
    EXPECT_EQ(difference(bits_of(file), bits_of(folder / "finished.h5")), "");
  }
}

TEST_F(Earlier, AMeasurementsFileIsWhatIsMeasuredTodayAndIsRestored) {
  const fs::path file = folder / "measured.h5", again = folder / "again.h5";
  const MeasurementsFile earlier(file);
  EXPECT_EQ(earlier.operator_spec(), "mask:@ | mean:2");
  printed({"degrade", "--input.data", folder / "images", "--problem.operator", "random:0.5 | mean:2",
           "--problem.sigma", "0.05", "--flow.seed", "3", "--store.out", again});
  const MeasurementsFile today(again);
  for (const std::int64_t row : {0, 1}) {
    const std::vector<float> a = earlier.measurement(row).values, b = today.measurement(row).values;
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], b[k], 1e-5);
    EXPECT_EQ(earlier.array("mask", "mask", row).values, today.array("mask", "mask", row).values);
    EXPECT_EQ(earlier.truth(row).values, today.truth(row).values);
    EXPECT_EQ(earlier.entries()[static_cast<std::size_t>(row)].id,
              today.entries()[static_cast<std::size_t>(row)].id);
  }
  // What job.ini says of the operator is not what the file says.
  expect_code(go_on({"--store.out", "r.h5", "--input.data", "measured.h5"}), 64);
  printed({"restore", "--input.data", file, "--prior.path", "builtin:fashion", "--flow.preset", "fast",
           "--flow.particles", "2", "--flow.steps", "2", "--store.out", folder / "r.h5"});
  EXPECT_EQ(committed(folder / "r.h5"), 2);
}

}  // namespace
}  // namespace dwgf::test
