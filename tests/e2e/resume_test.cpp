// Jobs that are killed in mid-run and gone on with on another number of ranks, or another grouping.
#include <gtest/gtest.h>

#include "killing.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

struct Change {
  int ranks_before, per_image_before, ranks_after, per_image_after;
  Victim victim;
};

class Resumed : public testing::TestWithParam<Change> {};

TEST_P(Resumed, GivesTheBitsOfAnUndisturbedRun) {
  const Change change = GetParam();
  const fs::path folder = new_folder("resumed"), images = make_array(folder / "images.npy", 5),
                 out = folder / "r.h5";
  const auto job = [&](const fs::path& results, int per_image) {
    return small_job(images, results,
                     {"--flow.grid", "100", "--flow.steps", "12", "--store.particles", "float32",
                      "--store.latents", "float64", "--run.ranks_per_image", std::to_string(per_image)});
  };
  expect_code(run(0, job(folder / "undisturbed.h5", 1)), 0);

  std::mt19937 random(7);
  Process process = start(change.ranks_before, job(out, change.per_image_before));
  ASSERT_TRUE(wait_for_images(process, out, 1)) << "the job ended before it could be killed";
  kill_victim(process, change.victim, random);
  EXPECT_EQ(process.wait(std::chrono::seconds(60)).outlived, 0);
  const std::size_t done = intact(out).size();
  EXPECT_GE(done, 1u);
  ASSERT_LT(done, 5u) << "the job was done before it was killed";

  const Finished finished = run(change.ranks_after, job(out, change.per_image_after));
  expect_code(finished, 0);
  EXPECT_TRUE(contains(finished.err, std::to_string(done) + " of 5 images")) << finished.err;
  EXPECT_EQ(difference(bits_of(out), bits_of(folder / "undisturbed.h5")), "");
}

INSTANTIATE_TEST_SUITE_P(Layouts, Resumed,
                         testing::Values(Change{3, 1, 2, 2, Victim::one_rank},
                                         Change{2, 2, 5, 1, Victim::everything}));

}  // namespace
}  // namespace dwgf::test
