// A disk that fails in mid-run, and memory that one rank does not find.
#include <cerrno>

#include <gtest/gtest.h>

#include "refusals.hpp"
#include "results_bits.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class BrokenDisk : public testing::TestWithParam<int> {};

TEST_P(BrokenDisk, IsAnErrorThatNamesThePlaceAndTheBytesAndCostsNothingCommitted) {
  const int ranks = GetParam();
  const fs::path folder = new_folder("broken"), images = make_array(folder / "images.npy", 3);
  const auto job = [&](const fs::path& out) {
    return small_job(
        images, out,
        {"--store.latents", "float64", "--run.ranks_per_image", std::to_string(std::max(ranks, 1))});
  };
  const auto run_with = [&](const fs::path& out, long at, const fs::path& count) {
    const Arguments variables = {"env",
                                 std::string("LD_PRELOAD=") + DWGF_WRITE_KILLER,
                                 "DWGF_KILL_FILE=" + out.filename().string(),
                                 "DWGF_KILL_RANK=0",
                                 "DWGF_KILL_AT=" + std::to_string(at),
                                 "DWGF_KILL_ERROR=" + std::to_string(EIO),
                                 "DWGF_KILL_COUNT=" + count.string()};
    return start_command(variables + command_line(ranks, job(out))).wait(std::chrono::seconds(kPatience));
  };
  const fs::path whole = folder / "whole.h5";
  expect_code(run_with(whole, 0, folder / "count"), 0);
  const ResultsBits expected = bits_of(whole);
  const long calls = static_cast<long>(fs::file_size(folder / "count"));

  // While the file is made, among the images, and in the last one: after it, the file is closed and noted.
  std::size_t most = 0;
  for (const long at : {2L, calls * 3 / 4, calls - 9}) {
    SCOPED_TRACE("call " + std::to_string(at) + " of " + std::to_string(calls));
    const fs::path out = folder / ("r" + std::to_string(at) + ".h5");
    expect_refused(run_with(out, at, ""), 74, {out.filename(), "nput/output error"});
    most = std::max(most, intact(out).size());
    expect_code(run(0, job(out)), 0);
    EXPECT_EQ(difference(bits_of(out), expected), "");
  }
  EXPECT_GE(most, 1u);
}

INSTANTIATE_TEST_SUITE_P(Ranks, BrokenDisk, testing::Values(0, 2));

TEST(ShortMemory, OfOneRankCostsTheImageThatNeedsItAndNoOther) {
  const fs::path folder = new_folder("memory"), pictures = folder / "pictures", out = folder / "r.h5";
  fs::create_directory(pictures);
  make_picture(pictures / "a.png", 1);
  make_picture(pictures / "b.png", 2, 160, 160);
  make_picture(pictures / "c.png", 3);
  const Arguments job = small_job(
      pictures, out, {"--flow.particles", "8", "--flow.micro_batch", "4", "--run.ranks_per_image", "2"});
  const Arguments variables = {"env", std::string("LD_PRELOAD=") + DWGF_MEMORY_LIMITER, "DWGF_MEMORY_RANK=1",
                               "DWGF_MEMORY_LARGEST=2500000"};
  const Finished finished =
      start_command(variables + command_line(2, job)).wait(std::chrono::seconds(kPatience));
  expect_code(finished, 3);
  expect_readable(finished);
  for (const char* part :
       {"b.png", "rank 1: out of memory", "bytes more were needed", "flow.micro_batch = 2"})
    EXPECT_TRUE(contains(finished.err, part)) << part << " is missing in:\n" << finished.err;
  EXPECT_EQ(intact(out).size(), 2u);
  // On other ranks, or elsewhere, the same command finds it.
  expect_code(run(0, job), 0);
  EXPECT_EQ(intact(out).size(), 3u);
}

}  // namespace
}  // namespace dwgf::test
