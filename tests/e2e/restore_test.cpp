// What `restore` promises beside the numbers: it can be asked first, repeated, and rerun from its own
// results.
#include <set>

#include <gtest/gtest.h>

#include "finished_job.hpp"
#include "results_bits.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Restore : public FinishedJob {};

TEST_F(Restore, AgainDoesNothingAndLeavesTheFileAsItIs) {
  const std::string before = read_text(results());
  for (const int ranks : {0, 3}) {
    const Finished finished = run(ranks, job());
    expect_code(finished, 0);
    EXPECT_TRUE(contains(finished.err, "3 of 3 images")) << finished.err;
    EXPECT_TRUE(read_text(results()) == before) << "the finished file was changed";
  }
}

TEST_F(Restore, FromTheJobInItsResultsGivesTheSameBits) {
  const auto attributes = ResultsFile::open_for_reading(results()).layout().attributes;
  write_text(folder / "job.ini", attributes.at("job"));
  const fs::path again = folder / "again.h5";
  expect_code(run(2, {"restore", "--config", folder / "job.ini", "--store.out", again}), 0);
  EXPECT_EQ(difference(bits_of(again), bits_of(results())), "");
  EXPECT_EQ(ResultsFile::open_for_reading(again).layout().attributes.at("prior_sha256"),
            attributes.at("prior_sha256"));

  // Rerun as it stands, it is the same job, which is done.
  const std::string before = read_text(results());
  expect_code(run(0, {"restore", "--config", folder / "job.ini"}), 0);
  EXPECT_TRUE(read_text(results()) == before);
}

TEST_F(Restore, OverAgainFromItsOwnFileGivesTheSameBits) {
  const fs::path hidden = folder / "hidden";
  fs::rename(pictures(), hidden);  // the file alone has to do
  const Finished all = run(2, {"restore", "--rerun", results(), "--store.out", folder / "rerun.h5"});
  const Finished one = run(0, {"restore", "--rerun", results(), "--image", "1"});
  const Finished other = run(0, {"restore", "--rerun", results(), "--flow.seed", "1"});
  const Finished behind = run(0, {"restore", "--rerun", results(), "--image", "3"});
  fs::rename(hidden, pictures());
  expect_code(all, 0);
  EXPECT_EQ(difference(bits_of(folder / "rerun.h5"), bits_of(results())), "");
  expect_code(one, 0);
  EXPECT_EQ(one.out, "same      1  b c.png\n");
  EXPECT_EQ(committed(results().string() + ".rerun.h5"), 1);
  expect_code(other, 64);
  EXPECT_TRUE(contains(other.err, "flow.seed")) << other.err;
  expect_code(behind, 64);
}

TEST_F(Restore, LaterFilesWinAndTheCommandLineLast) {
  write_text(folder / "one.ini", "[flow]\nseed = 1\nparticles = 2\nsteps = 1\n");
  write_text(folder / "two.ini", "[flow]\nparticles = 3\nseed = 2\n");
  const Finished finished =
      run(0, {"restore", "--config", folder / "one.ini", "--config", folder / "two.ini", "--input.data",
              pictures(), "--store.out", folder / "never.h5", "--prior.path", small_prior(), "--flow.grid",
              "20", "--flow.seed", "3", "--dry-run"});
  expect_code(finished, 0);
  for (const char* line : {"seed = 3\n", "particles = 3\n", "steps = 1\n"})
    EXPECT_TRUE(contains(finished.out, line)) << finished.out;
}

TEST_F(Restore, DryRunPrintsThePlanAndWritesNothing) {
  const auto listing = [] {
    std::set<std::string> names;
    for (const auto& file : fs::recursive_directory_iterator(folder)) names.insert(file.path());
    return names;
  };
  const auto before = listing();
  const Arguments job = small_job(pictures(), folder / "never.h5");
  const Finished finished = run(3, job + Arguments{"--dry-run"});
  expect_code(finished, 0);
  expect_readable(finished);
  for (const char* word : {"operator = mean:4", "ranks", "3 in 3 groups", "particles", "micro-batch", "GPU",
                           "memory", "disk", "cost"}) {
    EXPECT_TRUE(contains(finished.out, word)) << word << " is missing in:\n" << finished.out;
  }
  EXPECT_EQ(listing(), before);
}

/// "NUMBER UNIT" after `label` on a line of the plan that also holds `word`, in MiB.
double mebibytes(const std::string& plan, const std::string& word) {
  std::istringstream lines(plan);
  std::string line, label, unit;
  while (std::getline(lines, line)) {
    if (line.rfind("memory ", 0) != 0 || !contains(line, word)) continue;
    double value = 0.0;
    std::istringstream(line) >> label >> value >> unit;
    return value * (unit == "GiB" ? 1024.0 : 1.0);
  }
  ADD_FAILURE() << "no line of memory with '" << word << "' in:\n" << plan;
  return 0.0;
}

/// Images so large that the step, not what every process has, takes most of the memory.
TEST_F(Restore, DryRunExpectsTheMemoryThatAStepTakes) {
  const fs::path image = make_array(folder / "large.npy", 1, 1, 192);
  const Finished finished =
      run(0, {"restore", "--input.data", image, "--store.out", folder / "never.h5", "--prior.path",
              "builtin:fashion", "--flow.particles", "4", "--flow.micro_batch", "4", "--flow.steps", "1",
              "--prior.decoder_gradient", "plain", "--dry-run"});
  expect_code(finished, 0);
  const double expected = mebibytes(finished.out, "expected"), measured = mebibytes(finished.out, "measured");
  EXPECT_GT(measured, 300.0) << "too small to tell";
  EXPECT_NEAR(expected / measured, 1.0, 0.2) << finished.out;
}

TEST_F(Restore, ARelativeResultsPathIsTakenFromTheFolderItIsStartedIn) {
  expect_code(run(2, small_job(pictures(), "relative.h5")), 0);
  EXPECT_EQ(committed(workplace() / "relative.h5"), 3);
}

TEST(Help, IsThereForEveryCommandWithDefaultsAndRanges) {
  const Finished all = run(0, {"--help"});
  expect_code(all, 0);
  for (const std::string command : {"restore", "evaluate", "export", "status", "verify"}) {
    EXPECT_TRUE(contains(all.out, command));
    const Finished one = run(0, {command, "--help"});
    expect_code(one, 0);
    EXPECT_TRUE(contains(one.out, "usage: dwgf " + command)) << one.out;
    EXPECT_EQ(one.err, "");
  }
  const Finished restore = run(2, {"restore", "--help"});
  expect_code(restore, 0);
  for (const char* key : {"input.data", "problem.operator", "problem.sigma", "prior.path", "flow.particles",
                          "flow.grid", "flow.steps", "flow.interaction", "flow.micro_batch", "flow.precision",
                          "flow.seed", "run.ranks_per_image", "store.out", "store.particles", "dry-run",
                          "default: 0.05", "2 ... 999", "mixture | gaussian"}) {
    EXPECT_TRUE(contains(restore.out, key)) << key << " is missing in the help of restore";
  }
  EXPECT_EQ(restore.out.find("usage:"), restore.out.rfind("usage:")) << "printed by more than one rank";
}

TEST(Help, ListsTheOperatorsWithTheirEquations) {
  const Finished finished = run(2, {"restore", "--help-operators"});
  expect_code(finished, 0);
  for (const char* name : {"identity", "box", "random", "mean", "bicubic", "blur", "hdr", "phase", "grey"}) {
    EXPECT_TRUE(contains(finished.out, name)) << name;
  }
}

TEST(Help, TheVersionIsPrintedAndNoCommandIsAMistake) {
  const std::string version = run(0, {"--version"}).out;
  EXPECT_TRUE(version.starts_with("dwgf "));
  for (const char* part : {"\nrevision ", "MPI v", "; HDF5 1.", "; LibTorch "})
    EXPECT_TRUE(contains(version, part)) << part << " is missing in: " << version;
  expect_code(run(0, {}), 64);
}

}  // namespace
}  // namespace dwgf::test
