// Results in several files: the same bits, every command works on the whole, and a shard that is lost costs
// its own images only.
#include <gtest/gtest.h>

#include "refusals.hpp"
#include "results_bits.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Shards : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new_folder("shards");
    images = make_array(folder / "images.npy", 5);
    expect_code(run(0, job(folder / "single.h5")), 0);
    expect_code(run(2, job(whole(), {"--store.shards", "auto", "--store.chunk", "8192"})), 0);
  }

  static Arguments job(const fs::path& out, const Arguments& more = {}) {
    return small_job(images, out, Arguments{"--store.latents", "float64"} + more);
  }
  static fs::path whole() { return folder / "r.h5"; }
  static fs::path shard(int number) { return folder / "r.h5.shards" / (std::to_string(number) + ".h5"); }
  static std::string printed(const Arguments& arguments) {
    const Finished finished = run(0, arguments);
    expect_code(finished, 0);
    return finished.out;
  }

  inline static fs::path folder, images;
};

TEST_F(Shards, HoldTheBitsOfASingleFileAndEveryCommandTakesTheWhole) {
  EXPECT_TRUE(fs::exists(shard(0)) && fs::exists(shard(1)) && !fs::exists(shard(2)));
  EXPECT_EQ(difference(bits_of(whole()), bits_of(folder / "single.h5")), "");
  EXPECT_TRUE(contains(printed({"status", whole()}), "5 images: 5 done, 0 failed, 0 left"));
  EXPECT_TRUE(contains(printed({"verify", whole()}), "5 right, 0 damaged, 0 failed, 0 missing"));
  EXPECT_TRUE(contains(printed({"evaluate", whole()}), "5 of 5 images"));
  printed({"export", whole(), "--to", folder / "pictures"});
  EXPECT_TRUE(fs::exists(folder / "pictures"));
  EXPECT_TRUE(contains(printed({"restore", "--rerun", whole(), "--image", "4"}), "same      4"));
  printed({"merge", whole(), "--to", folder / "merged.h5"});
  EXPECT_EQ(difference(bits_of(folder / "merged.h5"), bits_of(folder / "single.h5")), "");
}

TEST_F(Shards, ALostOneCostsItsOwnImagesOnly) {
  const std::string kept = read_text(shard(0));
  fs::remove(shard(1));
  const Finished verify = run(0, {"verify", whole()});
  expect_code(verify, 65);
  for (const char* part : {"r.h5.shards/1.h5", "rows 3 ... 4", "is missing", "3 right, 2 damaged"})
    EXPECT_TRUE(contains(verify.out, part)) << part << " is missing in:\n" << verify.out;
  EXPECT_TRUE(contains(printed({"status", whole()}), "3 done, 0 failed, 2 left"));
  EXPECT_TRUE(contains(printed({"evaluate", whole()}), "3 of 5 images"));

  const Finished again = run(3, job(whole()));
  expect_code(again, 0);
  for (const char* part : {"1.h5 was missing", "its 2 images", "3 of 5 images are in"})
    EXPECT_TRUE(contains(again.err, part)) << part << " is missing in:\n" << again.err;
  EXPECT_TRUE(read_text(shard(0)) == kept) << "the other shard was changed";
  EXPECT_EQ(difference(bits_of(whole()), bits_of(folder / "single.h5")), "");
}

TEST_F(Shards, AForeignOneIsRefusedAndLeftAsItIs) {
  const fs::path out = folder / "foreign.h5";
  expect_code(run(0, job(out, {"--store.shards", "2", "--flow.seed", "3"})), 0);
  const std::string right = read_text(shard(1)), foreign = read_text(folder / "foreign.h5.shards/1.h5");
  write_text(shard(1), foreign);
  expect_refused(run(0, job(whole())), 65, {"r.h5.shards/1.h5", "another results file", "2 images"});
  EXPECT_TRUE(read_text(shard(1)) == foreign);
  const Finished verify = run(0, {"verify", whole()});
  expect_code(verify, 65);
  EXPECT_TRUE(contains(verify.out, "another results file")) << verify.out;
  write_text(shard(1), right);
  EXPECT_TRUE(contains(printed({"verify", whole()}), "5 right"));
}

}  // namespace
}  // namespace dwgf::test
