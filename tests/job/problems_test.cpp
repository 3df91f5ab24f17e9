// Where inverse problems come from, on files made here.
#include "job/problems.hpp"

#include <filesystem>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "data/npy.hpp"
#include "job/tensors.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// A folder of its own, removed at the end, with two images of [1, 32, 32] and their measurements by mean:2.
class ProblemsTest : public testing::Test {
 protected:
  ProblemsTest() {
    fs::create_directories(folder_);
    std::vector<float> pixels(2 * 32 * 32);
    for (std::size_t k = 0; k < pixels.size(); ++k) pixels[k] = static_cast<float>(k) / 2048 - 0.5f;
    write_npy(path("x.npy"), {2, 1, 32, 32}, pixels);
  }
  ~ProblemsTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Settings job(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--problem.operator", "mean:2"});
    return parse_settings(*find_command("restore"), arguments);
  }

  /// Those of the clean images, as a measurements file.
  void write_measurements() {
    Settings clean = job({"--input.data", path("x.npy")});
    const auto problems = open_problems(clean, self_);
    MeasurementsLayout layout;
    layout.images = problems->images();
    layout.images[1].prompt = "a café";
    layout.datasets = {{"/measurement/y", NumberType::float32, {1, 16, 16}}};
    layout.sigma = 0.05;
    layout.image_shape = {1, 32, 32};
    layout.attributes = {{"operator", "mean:2"}};
    MeasurementsWriter writer(path("y.h5"), layout, self_);
    for (std::int64_t row = 0; row < 2; ++row) {
      const at::Tensor y = problems->read(row, 1).y.contiguous();
      writer.write("/measurement/y", row, {static_cast<const std::byte*>(y.data_ptr()), y.nbytes()});
    }
    writer.publish();
  }

  /// A results file of one image that was restored by this job, without datasets that it could have.
  void write_results(const Settings& job) {
    ResultsLayout layout;
    layout.images = {{7, "an image", 32, 32}};
    layout.datasets = {{"/posterior/mean", NumberType::float32, {1, 32, 32}},
                       {"/posterior/std", NumberType::float32, {1, 32, 32}},
                       {"/measurement/y", NumberType::float32, {1, 16, 16}}};
    layout.attributes = {{"job", job.ini()}, {"version", "x"}, {"prior_sha256", ""}, {"system", ""}};
    auto results = ResultsFile::create(path("r.h5"), layout, self_);
    for (const DatasetLayout& dataset : layout.datasets)
      results.write(dataset.path, 0, 0, std::vector<std::byte>(dataset.row_bytes()));
    results.commit(0, 0, 1);
    results.close();
  }

  fs::path folder_ = fs::temp_directory_path() / ("dwgf-problems-" + std::to_string(getpid()));
  Communicator self_ = Communicator::self();
};

TEST_F(ProblemsTest, CoilMapsMayBeComplexAndAnglesAnImagesOwn) {
  const auto opened = [&](const char* name) {
    Settings settings = parse_settings(*find_command("restore"),
                                       {"--input.data", std::string(DWGF_TEST_DATA "/measurements/") + name});
    return open_problems(settings, self_);
  };
  const auto coils = opened("coils.h5");
  for (const std::int64_t k : {0, 1}) {
    const ImageProblem image = coils->read(k, 1);
    EXPECT_EQ(image.y.sizes(), (std::vector<std::int64_t>{2, 2, 8, 8}));
    EXPECT_LE((image.forward->apply(image.truth.unsqueeze(0))[0] - image.y).abs().max().item<double>(), 1e-6);
  }
  const auto angles = opened("angles.h5");
  EXPECT_TRUE(angles->arrays().at(0).per_image);
  const at::Tensor x = coils->read(0, 1).truth.unsqueeze(0);
  const at::Tensor first = angles->forward(0, 1)->apply(x);
  EXPECT_TRUE(at::allclose(first, make_operator("radon:2", {.image_shape = {1, 8, 8}})->apply(x)));
  EXPECT_FALSE(at::allclose(first, angles->forward(1, 1)->apply(x)));
}

TEST_F(ProblemsTest, PromptsComeFromMeasurementsAndFromBesideAnArray) {
  write_measurements();
  for (const char* name : {"y.h5", "y.h5:/measurement/y"}) {
    Settings settings = job({"--input.data", path(name)});
    const auto problems = open_problems(settings, self_);
    EXPECT_EQ(problems->images()[0].prompt, "") << name;
    EXPECT_EQ(problems->images()[1].prompt, "a café") << name;
  }
}

TEST_F(ProblemsTest, CleanImagesAreMeasuredOnTheFly) {
  Settings settings = job({"--input.data", path("x.npy"), "--input.first", "1"});
  const auto problems = open_problems(settings, self_);
  ASSERT_EQ(problems->images().size(), 1u);
  const ImageProblem problem = problems->read(0, 1);
  EXPECT_EQ(problem.sigma, 0.05);
  EXPECT_EQ(problem.truth.sizes(), at::IntArrayRef({1, 32, 32}));
  const at::Tensor again = measure(*problem.forward, *make_noise_model("gaussian", 0.05, *problem.forward),
                                   problem.truth, 0, problems->images()[0].id);
  EXPECT_TRUE(at::equal(problem.y, again));
}

TEST_F(ProblemsTest, MeasuredImagesAreThoseThatWereMeasured) {
  write_measurements();
  Settings clean = job({"--input.data", path("x.npy")}),
           measured = parse_settings(*find_command("restore"), {"--input.data", path("y.h5")});
  const auto there = open_problems(clean, self_), here = open_problems(measured, self_);
  EXPECT_EQ(measured.as<JobInput>().problem.forward, "mean:2");
  EXPECT_EQ(here->channels(), 1);
  EXPECT_FALSE(here->has_truth());
  for (std::int64_t row = 0; row < 2; ++row) {
    const ImageProblem problem = here->read(row, 1);
    EXPECT_TRUE(at::equal(problem.y, there->read(row, 1).y));
    EXPECT_EQ(problem.sigma, 0.05);
    EXPECT_FALSE(problem.truth.defined());
  }
}

TEST_F(ProblemsTest, ANoiseLevelIsEstimatedFromMeasurementsAlone) {
  write_measurements();
  Settings clean = job({"--input.data", path("x.npy"), "--problem.sigma", "estimate"}),
           measured = job({"--input.data", path("y.h5"), "--problem.sigma", "estimate"});
  EXPECT_THROW(open_problems(clean, self_), UsageError);
  EXPECT_GE(open_problems(measured, self_)->read(0, 1).sigma, 0);
}

TEST_F(ProblemsTest, PicturesMayBeTheMeasurements) {
  Settings settings =
      job({"--input.data", path("x.npy"), "--input.kind", "measured", "--problem.sigma", "0.1"});
  const auto problems = open_problems(settings, self_);
  ASSERT_EQ(problems->images().size(), 2u);
  EXPECT_EQ(problems->images()[0].height, 64u) << "what mean:2 made of 64 x 64";
  EXPECT_FALSE(problems->has_truth());
  const ImageProblem problem = problems->read(1, 3);
  EXPECT_EQ(problem.shape, (ImageShape{3, 64, 64}));
  EXPECT_EQ(problem.y.sizes(), at::IntArrayRef({3, 32, 32}));
  EXPECT_EQ(problem.y[0][0][0].item<float>(), 0.0f);
  EXPECT_EQ(problem.sigma, 0.1);
  EXPECT_FALSE(problem.truth.defined());
}

TEST_F(ProblemsTest, MeasuredPicturesSayWhatIsMissing) {
  const auto refused = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--input.data", path("x.npy"), "--input.kind", "measured"});
    Settings settings = parse_settings(*find_command("restore"), arguments);
    try {
      open_problems(settings, self_);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused({"--problem.sigma", "0.1"}).find("set problem.operator"), std::string::npos);
  EXPECT_NE(refused({"--problem.operator", "mean:2"}).find("set problem.sigma"), std::string::npos);
  EXPECT_NE(refused({"--problem.sigma", "0.1", "--problem.operator", "radon:9"}).find("is no picture"),
            std::string::npos);
  EXPECT_NE(refused({"--problem.sigma", "0.1", "--problem.operator", "random:0.5"}).find("mask:FILE"),
            std::string::npos);
  EXPECT_NE(refused({"--problem.sigma", "0.1", "--problem.operator", "mean:two"}).find("mean:4"),
            std::string::npos);
}

TEST_F(ProblemsTest, MeasurementsOfAnotherRangeBecomeThoseOfThisOne) {
  write_measurements();
  // On 0 ... 1000, y is 500 (y + 1), missing pixels aside.
  for (const char* forward : {"mean:2", "blur:5,1 | mean:2", "quantise:4 | mean:2"}) {
    Settings plain =
        parse_settings(*find_command("restore"), {"--input.data", path("x.npy"), "--input.kind", "measured",
                                                  "--problem.sigma", "0.1", "--problem.operator", forward});
    EXPECT_NO_THROW(open_problems(plain, self_)->read(0, 1));
  }
  Settings settings = parse_settings(*find_command("restore"),
                                     {"--input.data", path("y.h5"), "--input.range", "-4,4"}),
           plain = parse_settings(*find_command("restore"), {"--input.data", path("y.h5")});
  const auto problems = open_problems(settings, self_);
  const at::Tensor y = problems->read(1, 1).y, stored = open_problems(plain, self_)->read(1, 1).y;
  EXPECT_TRUE(at::allclose(y, stored / 4, 1e-6, 1e-6));
  EXPECT_EQ(problems->units(), (ValueUnits{4, 0, ""}));
  const std::vector<std::string> warnings = problems->warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("problem.sigma = 0.05"), std::string::npos) << warnings[0];
}

TEST_F(ProblemsTest, ComplexMeasurementsHaveALevelAnImage) {
  Settings settings =
      parse_settings(*find_command("restore"), {"--input.data", DWGF_TEST_DATA "/measurements/complex.h5"});
  const auto problems = open_problems(settings, self_);
  EXPECT_TRUE(settings.as<JobInput>().problem.lists_sigma());
  EXPECT_EQ(problems->read(0, 1).sigma, 0.05);
  EXPECT_EQ(problems->read(1, 1).sigma, 0.1);
  EXPECT_EQ(problems->units()->unit, "HU");
  // x is a multiple of 1/8 on [-1, 1], and so is what its samples go back to.
  const ImageProblem problem = problems->read(1, 1);
  const at::Tensor x = problem.forward->trivial_inverse(problem.y.unsqueeze(0), 0) * 8;
  EXPECT_LT((x - x.round()).abs().max().item<float>(), 1e-4);
  EXPECT_GT(x.abs().max().item<float>(), 1);
  Settings own =
      parse_settings(*find_command("restore"),
                     {"--input.data", DWGF_TEST_DATA "/measurements/complex.h5", "--problem.sigma", "0.3"});
  EXPECT_EQ(open_problems(own, self_)->read(1, 1).sigma, 0.3);
}

TEST_F(ProblemsTest, AMeasurementWithoutAnAxisSaysWhichToAdd) {
  Settings settings =
      parse_settings(*find_command("restore"), {"--input.data", DWGF_TEST_DATA "/measurements/no-axis.h5"});
  const auto problems = open_problems(settings, self_);
  try {
    problems->read(0, 1);
    FAIL() << "it was read";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("reshape y to [n, 2, 1, 8, 8]"), std::string::npos)
        << error.what();
  }
}

TEST_F(ProblemsTest, DataThatLookMeantOtherwiseAreSaid) {
  const auto warnings = [&](const std::vector<std::string>& arguments) {
    Settings settings = parse_settings(*find_command("restore"), arguments);
    std::string all;
    for (const std::string& warning : open_problems(settings, self_)->warnings()) all += warning + "\n";
    return all;
  };
  const std::string levels = DWGF_TEST_DATA "/measurements/levels.h5", photos = DWGF_TEST_DATA "/photos/";
  EXPECT_NE(warnings({"--input.data", levels}).find("input.range = 0,255"), std::string::npos);
  EXPECT_EQ(warnings({"--input.data", levels, "--input.range", "0,255", "--problem.sigma", "0.2"}), "");
  EXPECT_NE(warnings({"--input.data", photos + "floats.tif"}).find("input.range = 0,1"), std::string::npos);
  EXPECT_EQ(warnings({"--input.data", photos + "floats.tif", "--input.range", "0,1"}), "");
  EXPECT_EQ(warnings({"--input.data", path("x.npy")}), "");
  EXPECT_EQ(warnings({"--input.data", DWGF_TEST_DATA "/measurements/fixed-texts.h5"}), "");
  const std::string positive = DWGF_TEST_DATA "/measurements/positive.h5";
  EXPECT_NE(warnings({"--input.data", positive}).find("input.range = 0,1"), std::string::npos);
  EXPECT_EQ(warnings({"--input.data", positive, "--input.range", "-1,1"}), "");
  EXPECT_NE(warnings({"--input.data", photos + "twelve-bits.png"}).find("input.range = 0,4095"),
            std::string::npos);
  EXPECT_NE(warnings({"--input.data", photos + "animated.png"}).find("is animated"), std::string::npos);
  EXPECT_EQ(warnings({"--input.data", DWGF_SOURCE_DIR "/jobs/data/fashion"}), "");
}

TEST_F(ProblemsTest, ASliceBehindTheEndIsRefused) {
  Settings settings = job({"--input.data", path("x.npy"), "--input.first", "2"});
  EXPECT_THROW(open_problems(settings, self_), UsageError);
}

TEST_F(ProblemsTest, ResultsAreProblemsAgain) {
  write_results(job({"--input.data", path("x.npy"), "--problem.sigma", "0.25"}));
  Settings settings = job({"--rerun", path("r.h5"), "--image", "0"});
  const auto problems = open_problems(settings, self_);
  ASSERT_EQ(problems->images().size(), 1u);
  EXPECT_EQ(problems->read(0, 1).sigma, 0.25);
  Settings behind = job({"--rerun", path("r.h5"), "--image", "1"});
  EXPECT_THROW(open_problems(behind, self_), UsageError);
}

TEST_F(ProblemsTest, AnEstimatedLevelThatIsNotStoredIsRefused) {
  write_results(job({"--input.data", path("x.npy"), "--problem.sigma", "estimate"}));
  StoredImages stored(path("r.h5"));
  try {
    stored.read(0);
    FAIL() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("/problem/sigma"), std::string::npos) << error.what();
  }
}

TEST(VisitSizes, VisitsOneOfEverySize) {
  const std::vector<ImageEntry> images = {{1, "a", 4, 4}, {2, "b", 4, 4}, {3, "c", 8, 4}, {4, "d", 4, 4}};
  std::vector<std::int64_t> rows;
  const auto visit = [&](std::int64_t row) {
    rows.push_back(row);
    if (row == 0) throw DataError("the first");
  };
  EXPECT_TRUE(visit_sizes(images, /*others_may_do=*/false, visit));
  EXPECT_EQ(rows, (std::vector<std::int64_t>{0, 2}));
  rows.clear();
  EXPECT_TRUE(visit_sizes(images, /*others_may_do=*/true, visit));
  EXPECT_EQ(rows, (std::vector<std::int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace dwgf
