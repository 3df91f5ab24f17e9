// Measurements first: `degrade` and then `restore` give what `restore` gives from clean images, and files of
// others are taken as they come.
#include "store/measurements.hpp"

#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "refusals.hpp"
#include "results_bits.hpp"
#include "store/results.hpp"
#include "workplace.hpp"

namespace dwgf::test {
namespace {

/// Timing is no part of a result.
std::string without_seconds(const std::string& json) {
  return std::regex_replace(json, std::regex("\"seconds\": [^,\n]*"), "");
}

TEST(Measured, InTwoStepsGivesTheBitsOfOne) {
  const std::filesystem::path folder = new_folder("measured"), images = folder / "images";
  std::filesystem::create_directory(images);
  make_picture(images / "a.png", 1, 9, 22);
  make_picture(images / "b.png", 2, 17, 5);
  const Arguments problem{"--problem.operator", "random:0.3 | motion:3,30", "--problem.sigma", "0.1"};
  expect_code(run(3, Arguments{"degrade", "--input.data", images, "--input.channels", "3", "--store.out",
                               folder / "y.h5"} +
                         problem),
              0);
  expect_code(
      run(0, small_job(folder / "y.h5", folder / "two.h5", {"--problem.operator", "mask:@ | motion:3,30"})),
      0);
  expect_code(run(0, small_job(images, folder / "one.h5", problem)), 0);
  const ResultsFile one = ResultsFile::open_for_reading(folder / "one.h5"),
                    two = ResultsFile::open_for_reading(folder / "two.h5");
  EXPECT_NE(two.layout().find("/problem/mask"), nullptr);
  EXPECT_EQ(one.layout().find("/problem/mask"), nullptr);
  for (const DatasetLayout& dataset : one.layout().datasets) {
    if (dataset.path.starts_with("/timing/")) continue;
    for (const std::int64_t row : {0, 1})
      EXPECT_TRUE(one.read(dataset.path, row) == two.read(dataset.path, row)) << dataset.path;
  }

  // What the operator was built from is in the results: the file is no longer needed.
  std::filesystem::remove(folder / "y.h5");
  const Finished first = run(0, {"evaluate", folder / "one.h5", "--json"}),
                 second = run(0, {"evaluate", folder / "two.h5", "--json"});
  expect_code(second, 0);
  EXPECT_TRUE(contains(first.out, "Wiener filter, harmonic fill"));
  EXPECT_EQ(without_seconds(first.out), without_seconds(second.out));
}

TEST(Measured, ByOthersIsRestoredWithoutTruth) {
  const std::filesystem::path folder = new_folder("measured-by-others");
  const Arguments job{"restore",
                      "--input.data",
                      DWGF_TEST_DATA "/measurements/h5py.h5",
                      "--flow.preset",
                      "fast",
                      "--flow.grid",
                      "3",
                      "--flow.particles",
                      "1",
                      "--store.out",
                      folder / "results.h5"};
  expect_refused(run(0, job), 64, {"does not say how much noise", "problem.sigma", "estimate"});
  expect_refused(
      run(0, job + Arguments{"--problem.sigma", "0.1", "--problem.operator", "mean:2"}), 64,
      {"problem.operator = 'mean:2'", "was measured with 'mask:@ | kernel:@'", "leave the option out"});
  const Finished few = run(0, job + Arguments{"--problem.sigma", "estimate"});
  expect_code(few, 65);
  EXPECT_TRUE(contains(few.err, "needs 64 observed squares of 3 x 3 pixels")) << few.err;
  std::filesystem::remove(folder / "results.h5");
  expect_code(run(0, job + Arguments{"--problem.sigma", "0.1"}), 0);
  const ResultsFile results = ResultsFile::open_for_reading(folder / "results.h5");
  EXPECT_EQ(results.layout().find("/truth/x"), nullptr);
  EXPECT_EQ(results.layout().constants.size(), 1u);
  const Finished evaluated = run(0, {"evaluate", folder / "results.h5", "--json"});
  expect_code(evaluated, 0);
  EXPECT_TRUE(nlohmann::json::parse(evaluated.out)["summary"]["psnr"]["mean"].is_null()) << evaluated.out;
  expect_code(run(0, {"export", folder / "results.h5", "--to", folder / "out"}), 0);
}

TEST(Measured, RefusesWhatCannotBeMeasured) {
  const std::filesystem::path folder = new_folder("not-measured");
  make_picture(folder / "a.png", 1);
  const auto of_folder = [&](const Arguments& more) {
    return Arguments{"degrade", "--input.data", folder, "--store.out", folder / "y.h5"} + more;
  };
  expect_refusals({
      {"no output", {"degrade", "--input.data", folder}, 64, {"store.out is not set"}},
      {"no picture",
       {"degrade", "--input.data", folder / "b.png", "--store.out", folder / "y.h5"},
       66,
       {"b.png"}},
      {"array of a file",
       of_folder({"--problem.operator", "mask:@"}),
       64,
       {"measurements file", "name a file"}},
      {"missing file",
       of_folder({"--problem.operator", "kernel:none.npy"}),
       66,
       {"none.npy", "problem.operator"}},
      {"estimate", of_folder({"--problem.sigma", "estimate"}), 64, {"problem.sigma", "clean images"}},
      {"noise", of_folder({"--problem.noise", "poisson"}), 64, {"problem.noise", "the peak"}},
      {"measured already",
       {"degrade", "--input.data", DWGF_TEST_DATA "/measurements/h5py.h5", "--problem.sigma", "0",
        "--store.out", folder / "y.h5"},
       64,
       {"holds measurements already"}},
  });
  EXPECT_FALSE(std::filesystem::exists(folder / "y.h5"));
}

}  // namespace
}  // namespace dwgf::test
