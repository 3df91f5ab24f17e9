// Priors of few steps, and another autoencoder in place of a prior's own.
#include <gtest/gtest.h>

#include "e2e/results_bits.hpp"
#include "e2e/workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

fs::path prior(const std::string& name) {
  return fs::path(DWGF_TEST_DATA) / "prior" / name;
}

/// Of one rank and of three that share an image.
void expect_same_bits_on_three_ranks(const fs::path& folder, const Arguments& more) {
  const fs::path images = make_array(folder / "images.npy", 1, 3, 16);
  const Arguments all = more + Arguments{"--flow.particles", "3", "--store.latents", "float32"};
  expect_code(run(0, small_job(images, folder / "one.h5", all)), 0);
  expect_code(run(3, small_job(images, folder / "three.h5", all + Arguments{"--run.ranks_per_image", "3"})),
              0);
  EXPECT_EQ(difference(bits_of(folder / "one.h5"), bits_of(folder / "three.h5")), "");
}

TEST(Priors, OfFewStepsGiveTheSameBitsOnOneAndThreeRanks) {
  expect_same_bits_on_three_ranks(
      new_folder("few-steps"),
      {"--prior.path", prior("lcm"), "--flow.method", "latino", "--flow.grid", "5", "--flow.steps", "0"});
  expect_same_bits_on_three_ranks(new_folder("chosen-times"),
                                  {"--prior.path", prior("turbo"), "--prior.times", "999,749,499,249",
                                   "--flow.method", "latino", "--flow.grid", "5", "--flow.steps", "0"});
}

TEST(Priors, AnotherAutoencoderGivesTheSameBitsOnOneAndThreeRanks) {
  const Arguments tiny{"--prior.path", prior("lcm"), "--prior.codec", prior("taesd")};
  expect_same_bits_on_three_ranks(new_folder("tiny"), tiny);
  expect_same_bits_on_three_ranks(new_folder("polished"), tiny + Arguments{"--flow.polish", "1"});
}

TEST(Priors, RefuseWhatDoesNotGoWithTheirAutoencoder) {
  const fs::path folder = new_folder("refused-codecs");
  const fs::path images = make_array(folder / "images.npy", 1, 3, 16);
  const auto refused = [&](int code, const Arguments& more, const std::string& words) {
    const Finished job = run(0, small_job(images, folder / "never.h5", more));
    expect_code(job, code);
    EXPECT_TRUE(contains(job.err, words)) << job.err;
  };
  refused(64, {"--prior.path", prior("lcm"), "--flow.polish", "1"}, "prior.codec names none");
  refused(64, {"--prior.path", prior("ddpm2"), "--prior.codec", prior("taesd")}, "has no vae/");
  refused(66, {"--prior.path", prior("lcm"), "--prior.codec", folder / "none"}, "no such folder");
  refused(65, {"--prior.path", prior("lcm"), "--prior.codec", prior("taesd3")}, "16 channels");
  refused(65, {"--prior.path", prior("lcm"), "--prior.times", "1000"}, "999");
  refused(64, {"--prior.path", prior("lcm"), "--prior.times", "1,2"}, "descending");
  refused(64, {"--prior.path", prior("mixture.h5"), "--prior.times", "9"}, "leave it out");
}

}  // namespace
}  // namespace dwgf::test
