// The same bits whatever the number of ranks, their grouping, the slice, the order and the neighbours, of
// jobs as users start them: tests/flow compares every method on every layout.
#include <gtest/gtest.h>

#include "results_bits.hpp"
#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Layouts : public testing::Test {
 protected:
  fs::path folder = new_folder("layouts");
};

const Arguments kStoreAll = {"--store.particles", "float32", "--store.latents", "float64"};

TEST_F(Layouts, GroupsOfRanksInMicroBatchesGiveTheBitsOfOneRank) {
  const fs::path images = make_array(folder / "images.npy", 3);
  const auto bits = [&](int ranks, const std::string& name, const Arguments& more) {
    const Arguments job = kStoreAll + Arguments{"--flow.particles",   "8", "--flow.interaction", "gaussian",
                                                "--flow.micro_batch", "4"};
    expect_code(run(ranks, small_job(images, folder / name, job + more)), 0);
    return bits_of(folder / name);
  };
  const ResultsBits alone = bits(0, "alone.h5", {});
  EXPECT_EQ(difference(bits(4, "grouped.h5", {"--run.ranks_per_image", "2"}), alone), "");
  EXPECT_EQ(difference(bits(3, "uneven.h5", {"--run.ranks_per_image", "3"}), alone), "");
  // So that the comparison can see a difference.
  EXPECT_NE(difference(bits(0, "seed.h5", {"--flow.seed", "1"}), alone), "");
}

TEST_F(Layouts, SlicesGiveTheBitsOfTheWhole) {
  const fs::path images = make_array(folder / "images.npy", 5);
  const Arguments random = {"--problem.operator",
                            "random:0.5"};  // its mask is drawn for each image by its identity
  const auto slice = [&](const char* first, const char* count, const std::string& name, int ranks) {
    const Arguments part = {"--input.first", first, "--input.count", count};
    expect_code(run(ranks, small_job(images, folder / name, kStoreAll + random + part)), 0);
  };
  expect_code(run(2, small_job(images, folder / "whole.h5", kStoreAll + random)), 0);
  slice("3", "0", "second.h5", 2);
  slice("0", "3", "first.h5", 1);
  EXPECT_EQ(
      difference(bits_of_all({folder / "first.h5", folder / "second.h5"}), bits_of(folder / "whole.h5")), "");

  // Merged, they are the whole, to the program too.
  const fs::path merged = folder / "merged.h5";
  expect_code(run(0, {"merge", folder / "second.h5", folder / "first.h5", "--to", merged}), 0);
  EXPECT_EQ(difference(bits_of(merged), bits_of(folder / "whole.h5")), "");
  const Finished again = run(0, small_job(images, merged, kStoreAll + random));
  expect_code(again, 0);
  EXPECT_TRUE(contains(again.err, "5 of 5 images are in")) << again.err;

  slice("1", "1", "gap.h5", 1);
  const Finished gap = run(0, {"merge", folder / "gap.h5", folder / "second.h5", "--to", folder / "gaps.h5"});
  expect_code(gap, 3);
  EXPECT_TRUE(contains(gap.out, "gap      rows 2 ... 2")) << gap.out;
  expect_code(run(0, small_job(images, folder / "other.h5", {"--input.count", "1"})), 0);
  const Finished other =
      run(0, {"merge", folder / "other.h5", folder / "second.h5", "--to", folder / "x.h5"});
  expect_code(other, 64);
  EXPECT_TRUE(contains(other.err, "problem.operator: 'mean:4' here, 'random:0.5' there")) << other.err;
  EXPECT_FALSE(fs::exists(folder / "x.h5"));
}

TEST_F(Layouts, AnImageDoesNotDependOnItsNeighboursOrItsPlaceAmongThem) {
  const fs::path few = folder / "few", many = folder / "many";
  for (const fs::path& pictures : {few, many}) fs::create_directories(pictures / "inner");
  for (const fs::path& pictures : {few, many}) {
    make_picture(pictures / "d.png", 4);
    make_picture(pictures / "inner/b.png", 2);
  }
  make_picture(many / "a.png", 1);
  make_picture(many / "inner/a.png", 3);
  make_picture(many / "z.png", 5);
  expect_code(run(2, small_job(few, folder / "few.h5", kStoreAll)), 0);
  expect_code(run(3, small_job(many, folder / "many.h5", kStoreAll)), 0);
  const ResultsBits expected = bits_of(folder / "few.h5");
  ResultsBits found = bits_of(folder / "many.h5");
  EXPECT_EQ(found.size(), 5u);
  std::erase_if(found, [&](const auto& image) { return !expected.contains(image.first); });
  EXPECT_EQ(difference(found, expected), "");
}

}  // namespace
}  // namespace dwgf::test
