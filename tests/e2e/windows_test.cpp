// Images larger than the prior was made for, by windows that the ranks of a group share.
#include <gtest/gtest.h>

#include "killing.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Windows : public testing::Test {
 protected:
  fs::path folder = new_folder("windows");
  /// Latents of 20 x 20, which 3 x 3 windows of 8 x 8 cover, and 4 x 4 where they move.
  fs::path images = make_array(folder / "images.npy", 2, 1, 80);

  Arguments job(const std::string& name, int particles, int ranks_per_image) const {
    return small_job(
        images, folder / name,
        {"--prior.window", "8", "--prior.overlap", "2", "--flow.particles", std::to_string(particles),
         "--flow.consistency_every", "1", "--store.particles", "float32", "--store.latents", "float64",
         "--run.ranks_per_image", std::to_string(ranks_per_image)});
  }
  ResultsBits bits(const std::string& name, int particles, int ranks, int ranks_per_image) const {
    expect_code(run(ranks, job(name, particles, ranks_per_image)), 0);
    return bits_of(folder / name);
  }
};

TEST_F(Windows, MoreRanksThanParticlesGiveTheBitsOfOne) {
  const ResultsBits alone = bits("alone.h5", 1, 0, 1);
  EXPECT_EQ(difference(bits("three.h5", 1, 3, 3), alone), "");
  EXPECT_EQ(difference(bits("two.h5", 1, 4, 2), alone), "");
}

TEST_F(Windows, RanksShareParticlesAndWindowsWithTheSameBits) {
  const ResultsBits alone = bits("alone.h5", 4, 0, 1);
  EXPECT_EQ(difference(bits("particles.h5", 4, 2, 2), alone), "");
  EXPECT_EQ(difference(bits("both.h5", 4, 5, 5), alone), "");
  expect_code(
      run(0, small_job(images, folder / "whole.h5", {"--flow.particles", "4", "--store.latents", "float64"})),
      0);
  // So that the comparison can see a difference: windows change what the prior says.
  EXPECT_NE(difference(bits_of(folder / "whole.h5"), alone), "");
}

TEST_F(Windows, AKilledJobGoesOnWithTheSameBits) {
  const ResultsBits alone = bits("alone.h5", 1, 0, 1);
  Process process = start(3, job("killed.h5", 1, 3));
  std::mt19937 random(3);
  ASSERT_TRUE(wait_for_images(process, folder / "killed.h5", 1)) << "the job ended before it could be killed";
  kill_victim(process, Victim::one_rank, random);
  EXPECT_EQ(process.wait(std::chrono::seconds(60)).outlived, 0);
  EXPECT_EQ(difference(bits("killed.h5", 1, 2, 2), alone), "");
}

TEST_F(Windows, ThePlanNamesThem) {
  const Finished plan = run(0, job("never.h5", 1, 1) + Arguments{"--dry-run"});
  expect_code(plan, 0);
  EXPECT_TRUE(contains(plan.out, "windows             up to 16 an image")) << plan.out;
  const Finished at_rest =
      run(0, job("never.h5", 1, 1) + Arguments{"--dry-run", "--prior.window_shift", "no"});
  EXPECT_TRUE(contains(at_rest.out, "windows             up to 9 an image")) << at_rest.out;
}

TEST_F(Windows, WhatCannotBeIsRefused) {
  const Finished overlap =
      run(0, small_job(images, folder / "no.h5", {"--prior.window", "8", "--prior.overlap", "8"}));
  expect_code(overlap, 64);
  EXPECT_TRUE(contains(overlap.err, "prior.overlap = 8")) << overlap.err;
  const Finished words = run(0, small_job(images, folder / "no.h5", {"--prior.window", "large"}));
  expect_code(words, 64);
  EXPECT_TRUE(contains(words.err, "auto")) << words.err;
}

}  // namespace
}  // namespace dwgf::test
