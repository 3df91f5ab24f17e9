// The methods that the flow is compared with, started as users start them.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Methods : public testing::TestWithParam<const char*> {};

/// Images, problem and prior of the quickstart, with the settings that configs/methods names.
TEST_P(Methods, RestoreTheQuickstartBetterThanItsTrivialBaseline) {
  const std::string source = DWGF_SOURCE_DIR;
  const fs::path folder = new_folder("methods");
  for (const std::string job : {"quickstart", "quickstart-inpainting"}) {
    SCOPED_TRACE(job);
    const fs::path out = folder / (job + ".h5");
    expect_code(run(2, {"restore", "--config", source + "/jobs/" + job + ".ini", "--config",
                        source + "/configs/methods/" + GetParam() + ".ini", "--input.data",
                        source + "/jobs/data/fashion", "--input.count", "2", "--flow.particles", "2",
                        "--flow.micro_batch", "2", "--store.out", out}),
                0);
    const Finished evaluated = run(0, {"evaluate", out, "--json"});
    expect_code(evaluated, 0);
    const nlohmann::json psnr = nlohmann::json::parse(evaluated.out)["summary"]["psnr"];
    EXPECT_GT(psnr["mean"].get<double>(), psnr["baseline"].get<double>());
  }
}

/// One denoising and one decoding a step, eight of them: twice as near as the baseline's mean square.
TEST(Quick, RestoresTheQuickstartWithoutAnySetting) {
  const std::string source = DWGF_SOURCE_DIR;
  const fs::path folder = new_folder("quick");
  for (const std::string preset : {"quick", "quick-posterior"}) {
    SCOPED_TRACE(preset);
    const fs::path out = folder / (preset + ".h5");
    expect_code(run(2, {"restore", "--config", source + "/jobs/quickstart.ini", "--input.data",
                        source + "/jobs/data/fashion", "--input.count", "4", "--flow.preset", preset,
                        "--store.out", out}),
                0);
    const Finished evaluated = run(0, {"evaluate", out, "--json"});
    expect_code(evaluated, 0);
    const nlohmann::json psnr = nlohmann::json::parse(evaluated.out)["summary"]["psnr"];
    EXPECT_GT(psnr["mean"].get<double>(), psnr["baseline"].get<double>() + 2.0);
  }
}

/// Over eight images: the built-in prior is not distilled to few steps, and single images may come out worse.
/// A measured delta finds the moments beside the prior.
TEST(Latino, RestoresTheQuickstartBetterThanItsTrivialBaselineByEitherDelta) {
  const std::string source = DWGF_SOURCE_DIR;
  const fs::path folder = new_folder("latino");
  for (const std::string job : {"quickstart", "quickstart-inpainting"}) {
    for (const std::string delta : {"published", "measured"}) {
      SCOPED_TRACE(job + " " + delta);
      const fs::path out = folder / (job + "-" + delta + ".h5");
      expect_code(
          run(2, {"restore", "--config", source + "/jobs/" + job + ".ini", "--config",
                  source + "/configs/methods/latino.ini", "--input.data", source + "/jobs/data/fashion",
                  "--input.count", "8", "--flow.delta", delta, "--store.out", out}),
          0);
      const Finished evaluated = run(0, {"evaluate", out, "--json"});
      expect_code(evaluated, 0);
      const nlohmann::json psnr = nlohmann::json::parse(evaluated.out)["summary"]["psnr"];
      EXPECT_GT(psnr["mean"].get<double>(), psnr["baseline"].get<double>());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Methods, testing::Values("rlsd", "psld", "latent-dps"));

TEST(MethodRefusals, SayWhatDoesNotGoTogether) {
  const fs::path folder = new_folder("refusals"), images = make_array(folder / "images.npy", 1);
  const auto refused = [&](const Arguments& more, const std::string& word) {
    const Finished finished = run(2, small_job(images, folder / "never.h5", more));
    expect_code(finished, 64);
    expect_readable(finished);
    EXPECT_TRUE(contains(finished.err, word)) << finished.err;
    EXPECT_FALSE(fs::exists(folder / "never.h5"));
  };
  refused({"--flow.method", "psld", "--problem.operator", "hdr"}, "linear");
  refused({"--flow.method", "psld", "--flow.weight", "0.3"}, "flow.weight");
  refused({"--flow.gluing", "0.3"}, "flow.gluing");
  refused({"--flow.preset", "quick", "--problem.sigma", "0"}, "problem.sigma");
  refused({"--flow.lag", "10"}, "flow.lag");
  refused({"--flow.method", "latino", "--problem.sigma", "0"}, "problem.sigma");
  refused({"--flow.delta", "measured"}, "flow.delta");
}

}  // namespace
}  // namespace dwgf::test
