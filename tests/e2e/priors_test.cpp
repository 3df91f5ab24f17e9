#include <fstream>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "e2e/results_bits.hpp"
#include "e2e/workplace.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

fs::path prior(const std::string& name) {
  return fs::path(DWGF_TEST_DATA) / "prior" / name;
}

/// Runs a small job with the prior alone, and on 2 ranks with its files staged; compares the bits, and gives
/// back what was stored of the latents.
std::vector<std::int64_t> restored_latents(const std::string& name, const fs::path& images,
                                           const fs::path& folder) {
  const Arguments more{"--prior.path", prior(name),       "--problem.operator",
                       "blur:3,1",     "--store.latents", "float32"};
  expect_code(run(0, small_job(images, folder / "one.h5", more)), 0);
  expect_code(run(2, small_job(images, folder / "two.h5", more + Arguments{"--run.ranks_per_image", "2"})),
              0);
  EXPECT_EQ(difference(bits_of(folder / "one.h5"), bits_of(folder / "two.h5")), "");
  return ResultsFile::open_for_reading(folder / "one.h5").layout().find("/particles/z")->row_shape;
}

TEST(Priors, APixelSpaceModelWorksOnTheImagesThemselves) {
  const fs::path folder = new_folder("pixels");
  const std::vector<std::int64_t> latents =
      restored_latents("ddpm2", make_array(folder / "images.npy", 1, 1, 12), folder);
  EXPECT_EQ(std::vector<std::int64_t>(latents.begin() + 1, latents.end()),
            (std::vector<std::int64_t>{3, 12, 12}));
}

TEST(Priors, StableDiffusion3CompletesImagesToWholePatchesAndGivesTheSameBitsOnThreeRanks) {
  for (const char* name : {"sd3", "sd35"}) {
    const fs::path folder = new_folder(name);
    const fs::path images = make_array(folder / "images.npy", 2, 3, 20);
    for (const Arguments& method : {Arguments{"--flow.preset", "fast"}, {"--flow.method", "latino"}}) {
      const Arguments more = method + Arguments{"--prior.path", prior(name), "--store.latents", "float32"};
      const fs::path one = folder / (method[1] + "1.h5"), three = folder / (method[1] + "3.h5");
      expect_code(run(0, small_job(images, one, more)), 0);
      expect_code(run(3, small_job(images, three, more + Arguments{"--run.ranks_per_image", "3"})), 0);
      EXPECT_EQ(difference(bits_of(one), bits_of(three)), "");
      const auto latents = ResultsFile::open_for_reading(one).layout().find("/particles/z")->row_shape;
      EXPECT_EQ(std::vector<std::int64_t>(latents.begin() + 1, latents.end()),
                (std::vector<std::int64_t>{16, 6, 6}));
    }
  }
}

TEST(Priors, WhatIsNotAPriorOfAnyFamilyIsCalledByItsName) {
  const fs::path folder = new_folder("flux");
  fs::copy(prior("sd3"), folder / "prior", fs::copy_options::recursive);
  std::ofstream(folder / "prior/transformer/config.json") << R"({"_class_name": "FluxTransformer2DModel"})";
  const Finished refused = run(0, small_job(make_array(folder / "images.npy", 1, 3, 16), folder / "never.h5",
                                            {"--prior.path", folder / "prior"}));
  expect_code(refused, 65);
  EXPECT_TRUE(contains(refused.err, "FLUX.1")) << refused.err;
  const Finished large = run(0, small_job(make_array(folder / "large.npy", 1, 3, 80), folder / "never.h5",
                                          {"--prior.path", prior("sd3")}));
  EXPECT_TRUE(contains(large.err, "64 x 64 at most")) << large.err;
}

TEST(Priors, AGaussianMixtureIsReadFromItsFile) {
  const fs::path folder = new_folder("mixture");
  const std::vector<std::int64_t> latents =
      restored_latents("mixture.h5", make_array(folder / "images.npy", 2, 1, 4), folder);
  EXPECT_EQ(std::vector<std::int64_t>(latents.begin() + 1, latents.end()),
            (std::vector<std::int64_t>{1, 2, 3}));

  const Finished other = run(0, small_job(make_array(folder / "large.npy", 1, 1, 8), folder / "never.h5",
                                          {"--prior.path", prior("mixture.h5")}));
  expect_code(other, 65);
  EXPECT_TRUE(contains(other.err, "4 x 4")) << other.err;
  const Finished prompted =
      run(0, small_job(folder / "images.npy", folder / "never.h5",
                       {"--prior.path", prior("mixture.h5"), "--prior.prompt", "a cat"}));
  expect_code(prompted, 64);
  EXPECT_TRUE(contains(prompted.err, "prior.prompt")) << prompted.err;
}

TEST(Priors, ADirectoryIsDescribedWithoutLoadingIt) {
  const Finished described = run(0, {"priors", prior("sd1"), prior("ddpm"), "--json"});
  expect_code(described, 0);
  const auto list = nlohmann::json::parse(described.out);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["family"], "stable_diffusion");
  EXPECT_EQ(list[1]["networks"][0]["class"], "UNet2DModel");
  EXPECT_FALSE(list[0].contains("measured"));

  const Finished measured = run(0, {"priors", prior("sd1"), "--measure", "--size", "16"});
  expect_code(measured, 0);
  for (const char* word : {"denoiser", "decoder with its vjp", "16 x 16", "parameters", "made"})
    EXPECT_EQ(contains(measured.out, word), std::string(word) != "made") << word << "\n" << measured.out;

  const Finished known = run(0, {"priors"});
  expect_code(known, 0);
  EXPECT_TRUE(contains(known.out, "stabilityai/stable-diffusion-xl-base-1.0")) << known.out;
}

TEST(Priors, AFolderWithoutNetworksIsBadData) {
  const Finished empty = run(0, {"priors", new_folder("empty-prior")});
  expect_code(empty, 65);
  EXPECT_TRUE(contains(empty.out, "unet/")) << empty.out;
  expect_code(run(0, {"priors", "no-such-folder"}), 66);
}

}  // namespace
}  // namespace dwgf::test
