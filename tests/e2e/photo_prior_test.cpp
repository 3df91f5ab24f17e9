// What the built-in prior of photographs makes of photographs that it never saw, by the jobs of jobs/.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

struct Scores {
  double mean = 0, baseline = 0;  // PSNR [dB]
};

class PhotoPrior : public testing::Test {
 protected:
  static void SetUpTestSuite() { folder = new_folder("photo-prior"); }

  /// The first photograph of jobs/data by one of the jobs, with one particle in ten evaluations.
  static Scores restored(const std::string& job, const std::string& name, const Arguments& more = {}) {
    const fs::path source = DWGF_SOURCE_DIR, out = folder / (name + ".h5");
    expect_code(run(0, Arguments{"restore", "--config", source / "jobs" / (job + ".ini"), "--input.data",
                                 source / "jobs/data/photos/chelsea.png", "--flow.particles", "1",
                                 "--flow.grid", "11", "--store.out", out} +
                           more),
                0);
    const Finished finished = run(0, {"evaluate", out, "--json"});
    expect_code(finished, 0);
    const nlohmann::json scores = nlohmann::json::parse(finished.out).at("summary").at("psnr");
    return {scores.at("mean"), scores.at("baseline")};
  }

  inline static fs::path folder;
};

TEST_F(PhotoPrior, DeblursBetterThanWienersFilter) {
  const Scores scores = restored("photo", "blurred");
  EXPECT_GT(scores.mean, scores.baseline + 1.0);
}

TEST_F(PhotoPrior, EnlargesBetterThanBicubic) {
  const Scores scores = restored("photo-super-resolution", "small");
  EXPECT_GT(scores.mean, scores.baseline + 0.3);
}

TEST_F(PhotoPrior, FillsLettersBetterThanHarmonicFill) {
  const Scores scores =
      restored("photo-text", "text", {"--problem.operator", "mask:" DWGF_SOURCE_DIR "/jobs/data/text.png"});
  EXPECT_GT(scores.mean, scores.baseline + 0.5);
}

TEST_F(PhotoPrior, LosesLittleInWindows) {
  const Scores whole = restored("photo", "whole");
  const Scores windows = restored("photo", "windows", {"--prior.window", "160"});
  EXPECT_GT(windows.mean, whole.mean - 0.2);
}

}  // namespace
}  // namespace dwgf::test
