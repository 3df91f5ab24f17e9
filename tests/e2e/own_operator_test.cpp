// Operators of a user's own, through the whole program: a TorchScript module, coil maps, chosen angles.
#include <gtest/gtest.h>

#include "data/npy.hpp"
#include "results_bits.hpp"
#include "store/measurements.hpp"
#include "store/results.hpp"
#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class OwnOperators : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy(fs::path(DWGF_TEST_DATA) / "operators" / "mean4.pt", module);
    make_array(images, 2);
  }
  Arguments job(const std::string& out, const std::string& forward, const Arguments& more = {}) const {
    return small_job(images, folder / out, Arguments{"--problem.operator", forward} + more);
  }
  std::vector<float> mean_of(const std::string& out) const {
    return ResultsFile::open_for_reading(folder / out).read_floats("/posterior/mean", 0);
  }
  std::string scripted() const { return "torch:" + module.string() + ",linear,image"; }

  fs::path folder = new_folder("own-operators"), images = folder / "x.npy", module = folder / "mean4.pt";
};

TEST_F(OwnOperators, AModuleGivesWhatTheNativeOperatorGivesOnEveryNumberOfRanks) {
  expect_code(run(0, job("one.h5", scripted())), 0);
  expect_code(run(3, job("three.h5", scripted(), {"--run.ranks_per_image", "3"})), 0);
  EXPECT_EQ(difference(bits_of(folder / "three.h5"), bits_of(folder / "one.h5")), "");
  expect_code(run(0, job("native.h5", "mean:4")), 0);
  const std::vector<float> own = mean_of("one.h5"), native = mean_of("native.h5");
  ASSERT_EQ(own.size(), native.size());
  for (std::size_t k = 0; k < own.size(); ++k) ASSERT_NEAR(own[k], native[k], 1e-6) << k;
}

TEST_F(OwnOperators, AModuleIsKnownByItsHash) {
  expect_code(run(0, job("r.h5", scripted(), {"--input.count", "1"})), 0);
  const Finished job_text = run(0, {"status", folder / "r.h5", "--json"});
  expect_code(job_text, 0);
  const std::string stored = ResultsFile::open_for_reading(folder / "r.h5").layout().attributes.at("job");
  EXPECT_TRUE(contains(stored, ",sha256=")) << stored;
  expect_code(run(0, {"evaluate", folder / "r.h5"}), 0);
  expect_code(run(0, {"restore", "--rerun", folder / "r.h5"}), 0);

  // Another module under the same name is another problem.
  fs::copy(fs::path(DWGF_TEST_DATA) / "operators" / "gamma.pt", module, fs::copy_options::overwrite_existing);
  const Finished changed = run(0, {"evaluate", folder / "r.h5"});
  expect_code(changed, 65);
  EXPECT_TRUE(contains(changed.err, "is not the module that was used")) << changed.err;
  const Finished resumed = run(0, job("r.h5", "torch:" + module.string(), {"--input.count", "2"}));
  EXPECT_NE(resumed.code, 0);
  EXPECT_TRUE(contains(resumed.err, "problem.operator")) << resumed.err;
  fs::remove(module);
  const Finished missing = run(0, {"evaluate", folder / "r.h5"});
  expect_code(missing, 66);
  EXPECT_TRUE(contains(missing.err, "mean4.pt")) << missing.err;
}

TEST_F(OwnOperators, AModuleMeasuresFirst) {
  expect_code(run(0, {"degrade", "--input.data", images, "--problem.operator", scripted(), "--input.channels",
                      "3", "--store.out", folder / "y.h5"}),
              0);
  EXPECT_TRUE(contains(MeasurementsFile(folder / "y.h5").operator_spec().value(), ",sha256="));
  expect_code(run(0, small_job(folder / "y.h5", folder / "two.h5", {"--problem.operator", scripted()})), 0);
  expect_code(run(0, job("one.h5", scripted())), 0);
  EXPECT_EQ(mean_of("two.h5"), mean_of("one.h5"));
}

TEST_F(OwnOperators, AModuleThatDoesNotFitIsRefusedBeforeWork) {
  write_text(module, "no module");
  const Finished none = run(0, job("never.h5", scripted()));
  expect_code(none, 65);
  EXPECT_TRUE(contains(none.err, "is no TorchScript module")) << none.err;
  expect_readable(none);
  EXPECT_FALSE(fs::exists(folder / "never.h5"));
}

/// Grey images of the built-in prior, measured by arrays of a user's own and restored from the file that
/// carries them.
TEST_F(OwnOperators, CoilMapsAndAnglesAreCarried) {
  const fs::path grey = folder / "grey.npy", maps = folder / "maps.npy", mask = folder / "mask.npy",
                 angles = folder / "angles.npy";
  constexpr std::int64_t side = 28, pixels = side * side;
  std::vector<float> x(pixels), coils(2 * 2 * pixels), sampled(pixels);
  for (std::size_t k = 0; k < x.size(); ++k) {
    x[k] = (k / side > 8 && k % side > 8) ? 0.5f : -0.9f;
    sampled[k] = k % side % 2 == 0 ? 1.0f : 0.0f;
  }
  for (std::size_t k = 0; k < coils.size(); ++k) coils[k] = 0.2f + static_cast<float>(k % 7) / 10;
  write_npy(grey, {1, 1, side, side}, x);
  write_npy(maps, {2, 2, side, side}, coils);
  write_npy(mask, {side, side}, sampled);
  write_npy(angles, {5}, std::vector<float>{-40, -10, 5, 33, 80});
  const auto both = [&](const std::string& name, const std::string& spec, const std::string& carried) {
    const fs::path y = folder / (name + "-y.h5"), out = folder / (name + ".h5");
    const Arguments grey_job{"--prior.path", "builtin:fashion", "--flow.particles", "2", "--flow.steps", "3"};
    expect_code(run(0, {"degrade", "--input.data", grey, "--problem.operator", spec, "--store.out", y}), 0);
    EXPECT_EQ(MeasurementsFile(y).operator_spec().value(), carried);
    expect_code(run(0, Arguments{"restore", "--input.data", y, "--store.out", out} + grey_job), 0);
    for (const fs::path& file : {maps, mask, angles}) fs::rename(file, file.string() + ".away");
    const Finished judged = run(0, {"evaluate", out, "--json"});
    expect_code(judged, 0);
    for (const fs::path& file : {maps, mask, angles}) fs::rename(file.string() + ".away", file);
    return MeasurementsFile(y).measurement(0).shape;
  };
  EXPECT_EQ(both("mri", "sense:" + maps.string() + " | fourier:" + mask.string() + ",complex",
                 "sense:@ | fourier:@,complex"),
            (std::vector<std::int64_t>{2, 2, side, side}));
  EXPECT_EQ(both("ct", "radon:" + angles.string(), "radon:@"), (std::vector<std::int64_t>{1, 5, 41}));
  EXPECT_EQ(both("limited", "radon:4,-30,30", "radon:4,-30,30"), (std::vector<std::int64_t>{1, 4, 41}));
}

}  // namespace
}  // namespace dwgf::test
