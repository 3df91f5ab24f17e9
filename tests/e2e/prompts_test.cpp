// Stable Diffusion XL, and prompts and guidance, as users ask for them.
#include <gtest/gtest.h>

#include "e2e/results_bits.hpp"
#include "e2e/workplace.hpp"
#include "store/measurements.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

const Arguments kStoreAll = {"--store.particles", "float32", "--store.latents", "float32"};
Arguments guided(const std::string& prompt) {
  return {"--prior.prompt",          prompt,   "--prior.guidance", "3",
          "--prior.negative_prompt", "a shoe", "--flow.particles", "3"};
}

/// The tiny SDXL of tests/data with its text encoders, and two pictures of which one has a prompt.
class Prompts : public testing::Test {
 protected:
  void SetUp() override {
    const fs::path data = fs::path(DWGF_TEST_DATA) / "prior", text = data / "text";
    const auto copy = [&](const fs::path& from, const fs::path& to) {
      fs::create_directories(to);
      fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    };
    copy(data / "sdxl", prior);
    copy(text / "sdxl", prior);
    for (const char* name : {"plain", "published"}) copy(text / name, prior / "tokenizer");
    for (const char* name : {"plain", "second"}) copy(text / name, prior / "tokenizer_2");
    fs::create_directories(images);
    make_picture(images / "a.png", 1);
    make_picture(images / "b.png", 2, 30, 21);
    write_text(images / "b.txt", "a dress\n");
  }
  Arguments job(const std::string& out, const Arguments& more) const {
    return small_job(images, folder / out,
                     Arguments{"--prior.path", prior, "--problem.operator", "blur:3,1"} + kStoreAll + more);
  }

  fs::path folder = new_folder("prompts"), prior = folder / "prior", images = folder / "images";
};

TEST_F(Prompts, GuidedStableDiffusionXlHasTheSameBitsOnOneRankAndOnThree) {
  const Arguments more = guided("a shirt");
  expect_code(run(0, job("one.h5", more)), 0);
  expect_code(run(3, job("three.h5", more + Arguments{"--run.ranks_per_image", "3"})), 0);
  EXPECT_EQ(difference(bits_of(folder / "three.h5"), bits_of(folder / "one.h5")), "");
  const std::vector<ImageEntry> stored = ResultsFile::open_for_reading(folder / "one.h5").layout().images;
  EXPECT_EQ(stored[0].prompt, "a shirt");
  EXPECT_EQ(stored[1].prompt, "a dress");

  const fs::path page = folder / "page.html";
  expect_code(run(0, {"report", folder / "one.h5", "--to", page}), 0);
  EXPECT_TRUE(contains(read_text(page), "prompt &quot;a dress&quot;") ||
              contains(read_text(page), "prompt \"a dress\""));

  // The prompt of the job is not that of an image which has its own.
  expect_code(run(0, job("other.h5", guided("a boot"))), 0);
  const ResultsBits one = bits_of(folder / "one.h5"), other = bits_of(folder / "other.h5");
  EXPECT_NE(difference(other, one), "");
}

TEST_F(Prompts, AnImageIsItselfAndItsPrompt) {
  expect_code(run(0, job("out.h5", {"--prior.prompt", "a shirt"})), 0);
  write_text(images / "b.txt", "a coat");
  const Finished changed = run(0, job("out.h5", {"--prior.prompt", "a shirt"}));
  expect_code(changed, 64);
  EXPECT_TRUE(contains(changed.err, "the list of images")) << changed.err;
}

TEST_F(Prompts, MeasurementsBringTheirPrompts) {
  expect_code(run(0, {"degrade", "--input.data", images.string(), "--problem.operator", "blur:3,1",
                      "--input.channels", "3", "--store.out", (folder / "y.h5").string()}),
              0);
  EXPECT_EQ(MeasurementsFile(folder / "y.h5").entries()[1].prompt, "a dress");
  EXPECT_EQ(MeasurementsFile(folder / "y.h5").entries()[0].prompt, "");
  expect_code(run(0, small_job(folder / "y.h5", folder / "measured.h5",
                               Arguments{"--prior.path", prior, "--problem.operator", "blur:3,1",
                                         "--prior.prompt", "a shirt"})),
              0);
  EXPECT_EQ(ResultsFile::open_for_reading(folder / "measured.h5").layout().images[1].prompt, "a dress");
}

TEST_F(Prompts, WhatCannotBeGuidedIsRefused) {
  const auto refused = [&](const Arguments& more, std::initializer_list<const char*> parts) {
    const Finished finished =
        run(0, small_job(images, folder / "never.h5", more + Arguments{"--problem.operator", "blur:3,1"}));
    EXPECT_NE(finished.code, 0);
    for (const char* part : parts) EXPECT_TRUE(contains(finished.err, part)) << finished.err;
    expect_readable(finished);
    EXPECT_FALSE(fs::exists(folder / "never.h5"));
  };
  refused({"--prior.path", "builtin:fashion", "--prior.guidance", "2"}, {"prior.guidance", "text encoder"});
  refused({"--prior.path", prior, "--prior.negative_prompt", "a"},
          {"prior.negative_prompt", "prior.guidance"});
  fs::remove_all(prior / "text_encoder_2");
  refused({"--prior.path", prior, "--prior.prompt", "a"}, {"text_encoder_2"});
  fs::remove_all(prior / "text_encoder");
  refused({"--prior.path", prior, "--prior.guidance", "2"}, {"prior.guidance", "text encoder"});
}

TEST_F(Prompts, PromptsThatAPriorDoesNotReadAreLeftOutAloud) {
  const Finished finished =
      run(0, small_job(images, folder / "out.h5",
                       {"--prior.path", "builtin:fashion", "--problem.operator", "blur:3,1"}));
  expect_code(finished, 0);
  EXPECT_TRUE(contains(finished.err, "prompts of 1 image ")) << finished.err;
}

}  // namespace
}  // namespace dwgf::test
