// Files as people have them, by the commands that people give: what is read, what is said of the rest, and
// what comes out again.
#include <algorithm>
#include <fstream>
#include <set>

#include <nlohmann/json.hpp>

#include <dwgf/data/picture.hpp>

#include "data/images.hpp"
#include "data/npy.hpp"
#include "data/png.hpp"
#include "data/tiff_writer.hpp"
#include "finished_job.hpp"
#include "refusals.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

const fs::path photos = DWGF_TEST_DATA "/photos";

/// As few steps as there are.
Arguments shortest(const fs::path& images, const fs::path& out, const Arguments& more = {}) {
  return small_job(
      images, out,
      Arguments{"--problem.operator", "identity", "--flow.particles", "1", "--flow.grid", "2"} + more);
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& file : fs::directory_iterator(folder)) names.insert(file.path().filename().string());
  return names;
}

TEST(Photos, FortyOfThemAreRestoredOrSaidAndCounted) {
  const fs::path folder = new_folder("photos"), pictures = folder / "pictures";
  fs::copy(photos, pictures);
  fs::remove(pictures / "expected.json");
  const std::string longest = std::string(240, 'x') + ".png";
  for (const std::string& name : {std::string("日本.png"), std::string("ünïcode é.png"),
                                  std::string("emoji🙂.png"), longest, std::string(".hidden.png")})
    fs::copy(photos / "animated.png", pictures / name);
  fs::copy(DWGF_TEST_DATA "/pictures/cmyk.jpg", pictures / "inks-without.jpg");
  for (const char* kind : {"psd", "heic", "bmp", "gif", "jp2", "avif", "CR2"})
    write_text(pictures / (std::string("foreign.") + kind), "x");
  ASSERT_GE(names_in(pictures).size(), 40u);

  const Finished finished = run(0, shortest(pictures, folder / "r.h5", {"--input.background", "white"}));
  expect_code(finished, 3);
  expect_readable(finished);
  for (const char* word : {"7 files of other kinds were left out", "1 .heic", "1 hidden", "inks-without.jpg",
                           "CMYK", "floats.tif", "twelve-bits.png", "damaged-profile.png"})
    EXPECT_TRUE(contains(finished.err, word)) << word << " is missing in\n" << finished.err;
  const ResultsFile results = ResultsFile::open_for_reading(folder / "r.h5");
  const std::vector<ImageState> states = results.states();
  std::ifstream expected(photos / "expected.json");
  const nlohmann::json golden = nlohmann::json::parse(expected);
  // The copies under other names, but for the hidden one; and the inks without a profile.
  const std::size_t good = golden["files"].size() + 4, refused = golden["refused"].size() + 1;
  ASSERT_EQ(states.size(), good + refused);
  EXPECT_EQ(std::ranges::count(states, ImageState::committed), static_cast<std::ptrdiff_t>(good));

  const Finished exported = run(0, {"export", folder / "r.h5", "--to", folder / "out", "--what", "mean"});
  expect_code(exported, 0);
  const std::set<std::string> names = names_in(folder / "out");
  EXPECT_EQ(names.size(), good + 1);
  for (const char* part : {"_日本.mean.png", "_ünïcode_é.mean.png", "_emoji🙂.mean.png", "_xxxxxxxxxx"})
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), [&](const auto& name) {
      return contains(name, part);
    })) << part;
}

TEST(Photos, OneAPatternAndAnEmptyFolderAreData) {
  const fs::path folder = new_folder("one-photo");
  fs::create_directories(folder / "pics");
  make_picture(folder / "pics/a.png", 1, 8, 8);
  make_picture(folder / "pics/b.png", 2, 8, 8);
  expect_code(run(0, shortest(folder / "pics/b.png", folder / "one.h5")), 0);
  expect_code(run(3, shortest(folder / "pics/*.png", folder / "two.h5")), 0);
  const ResultsFile one = ResultsFile::open_for_reading(folder / "one.h5"),
                    two = ResultsFile::open_for_reading(folder / "two.h5");
  ASSERT_EQ(one.layout().images.size(), 1u);
  ASSERT_EQ(two.layout().images.size(), 2u);
  EXPECT_EQ(one.layout().images[0].id, two.layout().images[1].id);
  EXPECT_TRUE(one.read("/posterior/mean", 0) == two.read("/posterior/mean", 1));
  fs::create_directories(folder / "nothing");
  expect_refused(run(0, shortest(folder / "nothing", folder / "x.h5")), 65, {"nothing", "is empty"});
  expect_refused(run(0, shortest(folder / "none/*.png", folder / "x.h5")), 66, {"none", "does not exist"});
}

TEST(Photos, MayBeTheMeasurements) {
  const fs::path folder = new_folder("measured-photo");
  make_picture(folder / "small.png", 1, 4, 6);
  const Arguments job = small_job(folder / "small.png", folder / "r.h5",
                                  {"--input.kind", "measured", "--problem.operator", "bicubic:4",
                                   "--problem.sigma", "0.1", "--flow.particles", "1", "--flow.grid", "2"});
  expect_code(run(0, job), 0);
  const ResultsFile results = ResultsFile::open_for_reading(folder / "r.h5");
  EXPECT_EQ(results.layout().images[0].height, 16u);
  EXPECT_EQ(results.layout().images[0].width, 24u);
  EXPECT_EQ(results.layout().find("/truth/x"), nullptr);
  EXPECT_EQ(results.read_floats("/measurement/y", 0), read_picture(folder / "small.png").values)
      << "nothing is measured again, and no noise added";
}

TEST(Photos, ComeBackInTheirUnits) {
  const fs::path folder = new_folder("units");
  const auto exported = [&](const fs::path& data, const std::string& range, const std::string& format) {
    const fs::path out = folder / (format + range);
    expect_code(run(0, shortest(data, out.string() + ".h5", {"--input.range", range})), 0);
    expect_code(run(0, {"export", out.string() + ".h5", "--to", out, "--format", format, "--sheet", "0",
                        "--what", "truth,std"}),
                0);
    for (const std::string& name : names_in(out))
      if (contains(name, ".truth.")) return out / name;
    return fs::path();
  };
  std::vector<float> numbers(3 * 8 * 8);
  for (std::size_t k = 0; k < numbers.size(); ++k) numbers[k] = static_cast<float>(k) * 5;
  write_tiff(folder / "floats.tif", 3, 8, 8, numbers);
  const PictureChoices thousand{.background = {}, .range = ValueRange{0, 1000}};
  const ImagePixels before = read_picture(folder / "floats.tif", thousand),
                    after = read_picture(exported(folder / "floats.tif", "0,1000", "tiff"), thousand);
  for (std::size_t k = 0; k < numbers.size(); ++k) ASSERT_NEAR(after.values[k], before.values[k], 2e-7) << k;

  write_npy(folder / "floats.npy", {1, 3, 8, 8}, numbers);
  const NpyFile npy(exported(folder / "floats.npy", "0,1000", "npy"));
  const std::vector<float> back = npy.read(0, npy.size());
  for (std::size_t k = 0; k < numbers.size(); ++k) ASSERT_NEAR(back[k], numbers[k], 1e-3) << k;

  PngImage deep{8, 8, 3, 16, {}};
  for (std::size_t k = 0; k < numbers.size(); ++k)
    deep.samples.push_back(static_cast<std::uint16_t>(numbers[k] * 4));
  write_png(folder / "deep.png", deep);
  EXPECT_EQ(read_png(exported(folder / "deep.png", "0,4095", "png16")).samples, deep.samples);
  EXPECT_EQ(read_png(exported(folder / "deep.png", "auto", "png16")).samples, deep.samples);
}

TEST(Photos, OfADoubtfulRangeAreSaidBeforeAnythingIsDone) {
  const fs::path folder = new_folder("doubtful");
  const auto said = [&](const fs::path& data, const Arguments& more, const std::string& words) {
    const Finished finished = run(0, shortest(data, folder / "r.h5", more + Arguments{"--dry-run"}));
    expect_code(finished, 0);
    EXPECT_TRUE(contains(finished.err, words)) << words << " is missing in\n" << finished.err;
  };
  said(photos / "floats.tif", {}, "input.range = 0,1");
  said(photos / "twelve-bits.png", {}, "input.range = 0,4095");
  said(photos / "animated.png", {}, "is animated");
  said(photos / "damaged-profile.png", {}, "colour profile is damaged");
}

/// A short job with the built-in grey prior from measurements of 8 x 8 pixels that h5py wrote.
Arguments of_others(const std::string& name, const fs::path& out, const Arguments& more = {}) {
  return Arguments{"restore",
                   "--input.data",
                   DWGF_TEST_DATA "/measurements/" + name,
                   "--flow.preset",
                   "fast",
                   "--flow.grid",
                   "3",
                   "--flow.particles",
                   "1",
                   "--store.out",
                   out} +
         more;
}

TEST(Photos, MeasurementsOfOthersAreTakenAsTheyAreMeantOrSaid) {
  const fs::path folder = new_folder("of-others");
  const auto said = [&](const std::string& name) {
    const Finished finished = run(0, of_others(name, folder / "x.h5", {"--dry-run"}));
    expect_code(finished, 0);
    return finished.err;
  };
  EXPECT_TRUE(contains(said("levels.h5"), "input.range = 0,255")) << "uint8 is numbers up to 255";
  EXPECT_TRUE(contains(said("positive.h5"), "input.range = 0,1"));
  expect_refused(run(0, of_others("no-level.h5", folder / "x.h5")), 65,
                 {"sigma", "problem.sigma = estimate"});
  const Finished axis = run(0, of_others("no-axis.h5", folder / "axis.h5"));
  EXPECT_TRUE(contains(axis.err, "reshape y to [n, 2, 1, 8, 8]")) << axis.err;

  expect_code(run(0, of_others("complex.h5", folder / "r.h5")), 0);
  const ResultsFile results = ResultsFile::open_for_reading(folder / "r.h5");
  EXPECT_EQ(results.read_floats("/problem/sigma", 0), std::vector<float>{0.05f});
  EXPECT_EQ(results.read_floats("/problem/sigma", 1), std::vector<float>{0.1f});
  EXPECT_EQ(results.layout().attributes.at("unit"), "HU");
  expect_code(run(0, {"export", folder / "r.h5", "--to", folder / "out", "--format", "npy"}), 0);
  const NpyFile mean(folder / "out/000000_complex.mean.npy");
  const std::vector<float> units = mean.read(0, mean.size()),
                           stored = results.read_floats("/posterior/mean", 0);
  for (std::size_t k = 0; k < units.size(); ++k) ASSERT_NEAR(units[k], 1000 * stored[k] + 24, 1e-3) << k;
}

class Exported : public FinishedJob {};

TEST_F(Exported, ParticlesAndQuantilesToo) {
  expect_code(run(0, {"export", results(), "--to", folder / "all", "--what", "all", "--format", "npy"}), 0);
  const ResultsFile file = ResultsFile::open_for_reading(results());
  const NpyFile particles(folder / "all/000000_a.particles.npy"),
      low(folder / "all/000000_a.quantile_05.npy");
  EXPECT_EQ(particles.read(0, particles.size()), file.read_floats("/particles/x", 0));
  EXPECT_EQ(low.read(0, low.size()), file.read_floats("/posterior/quantile_05", 0));
  expect_code(
      run(0, {"export", results(), "--to", folder / "some", "--what", "particles,quantiles", "--sheet", "0"}),
      0);
  const auto count = static_cast<std::size_t>(file.layout().find("/particles/x")->row_shape[0]);
  EXPECT_EQ(names_in(folder / "some").size(), 3 * (count + 2));
  EXPECT_TRUE(fs::exists(folder / "some/000000_a.particle_0.png"));
  expect_refused(run(0, {"export", results(), "--to", folder / "x", "--what", "mean,variance"}), 64,
                 {"what", "truth,measurement,baseline,mean,std,quantiles,particles"});
}

TEST_F(Exported, NothingWhereOneFileIsInTheWay) {
  fs::create_directories(folder / "mine");
  write_text(folder / "mine/000002_inner_d.std.png", "mine");
  expect_refused(run(0, {"export", results(), "--to", folder / "mine"}), 74, {"000002_inner_d.std.png"});
  EXPECT_EQ(names_in(folder / "mine").size(), 1u);
}

}  // namespace
}  // namespace dwgf::test
