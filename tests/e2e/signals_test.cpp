// Jobs that are asked to stop in the middle of an image, and gone on with from their checkpoints on another
// number of ranks, or another grouping.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

#include "killing.hpp"
#include "refusals.hpp"
#include "store/job_lock.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Signals : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared = new_folder("signals");
    make_array(shared / "images.npy", 1);
    expect_code(run(0, job(shared / "undisturbed.h5", 1)), 0);
  }
  /// Long enough to be stopped in the middle of its first image.
  static Arguments job(const fs::path& out, int ranks_per_image, const std::string& seconds = "0") {
    return small_job(
        shared / "images.npy", out,
        {"--flow.grid", "400", "--flow.steps", "120", "--flow.particles", "6", "--store.latents", "float64",
         "--run.ranks_per_image", std::to_string(ranks_per_image), "--run.checkpoint_seconds", seconds});
  }

  fs::path out = new_folder("signalled") / "r.h5";
  fs::path folder = out.string() + ".checkpoint";

  std::vector<fs::path> checkpoints() const {
    std::vector<fs::path> files;
    std::error_code ignored;
    for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
      if (it->path().extension() != ".part") files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  /// Until there is a checkpoint, so that a step has been done; whether it still runs.
  bool in_mid_image(Process& process) const {
    while (checkpoints().empty() && process.running()) std::this_thread::sleep_for(5ms);
    return process.running();
  }
  Finished finished(Process& process) const { return process.wait(std::chrono::seconds(kPatience)); }
  /// Goes on to the end, and nothing is left beside the results.
  Finished expect_undisturbed_bits(int ranks, int ranks_per_image) const {
    const Finished finished = run(ranks, job(out, ranks_per_image));
    expect_code(finished, 0);
    EXPECT_EQ(difference(bits_of(out), bits_of(shared / "undisturbed.h5")), "");
    EXPECT_FALSE(fs::exists(folder));
    EXPECT_FALSE(fs::exists(out.string() + ".running"));
    return finished;
  }

  inline static fs::path shared;
};

TEST_F(Signals, OneRankThatIsAskedToStopStopsAllWithCheckpoints) {
  Process process = start(4, job(out, 2, "0.001"));  // two groups of two ranks; one has nothing to do
  ASSERT_TRUE(in_mid_image(process));
  const std::vector<pid_t> ranks = process.below("dwgf");
  ASSERT_EQ(ranks.size(), 4u);
  kill(ranks[3], SIGUSR1);
  const Finished stopped = finished(process);
  expect_code(stopped, 75);
  expect_readable(stopped);
  EXPECT_TRUE(contains(stopped.err, "stopped on request")) << stopped.err;
  EXPECT_EQ(committed(out), 0);
  EXPECT_FALSE(checkpoints().empty());
  EXPECT_TRUE(contains(expect_undisturbed_bits(3, 3).err, "goes on after step"));
}

TEST_F(Signals, TerminationKeepsTheLastStepAndADamagedCheckpointLeavesTheOneBefore) {
  Process process = start(2, job(out, 2, "0.001"));
  ASSERT_TRUE(in_mid_image(process));
  kill(process.pid(), SIGTERM);
  const Finished terminated = finished(process);  // mpirun returns a code of its own
  const std::vector<fs::path> files = checkpoints();
  ASSERT_FALSE(files.empty()) << terminated.err << committed(out) << " images are committed";
  ASSERT_EQ(committed(out), 0);

  // The one of the highest step: names sort by step.
  std::string content = read_text(files.back());
  content[content.size() / 2] ^= 1;
  write_text(files.back(), content);
  const Finished resumed = expect_undisturbed_bits(0, 1);
  EXPECT_TRUE(contains(resumed.err, "is damaged")) << resumed.err;
  EXPECT_TRUE(contains(resumed.err, "goes on after step")) << resumed.err;
}

// A long step, where this machine is busy: it is answered at once, and the step is not waited for to its end.
// There are enough of them that the signal comes before the last.
TEST_F(Signals, TerminationInALongStepIsAnsweredAndTheBitsAreTheSameAfterwards) {
  const fs::path image = make_array(out.parent_path() / "large.npy", 1, 3, 112);
  const auto long_job = [&](const fs::path& results) {
    return Arguments{"restore", "--input.data",  image,  "--store.out",
                     results,   "--flow.preset", "fast", "--flow.particles",
                     "8",       "--flow.steps",  "16",   "--run.checkpoint_seconds",
                     "0.001"};
  };
  const fs::path whole = out.parent_path() / "whole.h5";
  expect_code(run(0, long_job(whole)), 0);
  Process process = start(0, long_job(out));
  ASSERT_TRUE(in_mid_image(process));
  kill(process.pid(), SIGTERM);
  const Finished ended = finished(process);
  expect_code(ended, 75);
  EXPECT_TRUE(contains(ended.err, "stopping after this step (about ")) << ended.err;
  EXPECT_TRUE(contains(ended.err, "; once more to stop at once")) << ended.err;
  EXPECT_EQ(committed(out), 0);
  const Finished resumed = run(0, long_job(out));
  expect_code(resumed, 0);
  EXPECT_TRUE(contains(resumed.err, "goes on after step")) << resumed.err;
  EXPECT_EQ(difference(bits_of(out), bits_of(whole)), "");
}

TEST_F(Signals, ADryRunEndsAtOnce) {
  const fs::path image = make_array(out.parent_path() / "huge.npy", 1, 3, 1024);
  Process process = start(0, {"restore", "--input.data", image, "--store.out", out, "--flow.preset", "fast",
                              "--flow.micro_batch", "1", "--flow.precision", "fp64", "--dry-run"});
  std::this_thread::sleep_for(300ms);
  kill(process.pid(), SIGTERM);
  const Finished ended = finished(process);
  // The second where the signal came before anybody answered it.
  EXPECT_TRUE(ended.code == 75 || ended.code == 128 + SIGTERM) << ended.code << ended.err;
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Signals, ACheckpointOnRequestStopsNothingAndNothingIsLeftOfIt) {
  Process process = start(2, job(out, 2));
  bool seen = false;
  while (!seen && process.running()) {
    if (committed(out) >= 0) kill(process.pid(), SIGUSR2);
    std::this_thread::sleep_for(20ms);
    seen = !checkpoints().empty();
  }
  EXPECT_TRUE(seen);
  expect_code(finished(process), 0);
  EXPECT_EQ(difference(bits_of(out), bits_of(shared / "undisturbed.h5")), "");
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(Signals, ASecondJobOnTheSameResultsIsRefusedUntilTheFirstIsDead) {
  Process process = start(2, job(out, 1, "0.001"));
  ASSERT_TRUE(in_mid_image(process));
  expect_refused(run(0, job(out, 1)), 64, {"store.out", "r.h5", "another job"});
  kill(process.pid(), SIGKILL);
  finished(process);
  // The ranks of a killed mpirun notice that it is gone within a second or so.
  for (int k = 0; k < 2000 && look_for_job(out).running == true; ++k) std::this_thread::sleep_for(10ms);
  expect_undisturbed_bits(2, 1);
}

TEST_F(Signals, ADamagedImageIsRestoredAgainAndNoOther) {
  const fs::path whole = out.parent_path() / "whole.h5";
  const auto job = [&](const fs::path& results) {
    return small_job(make_array(results.parent_path() / "two.npy", 2), results);
  };
  expect_code(run(0, job(whole)), 0);
  fs::copy_file(whole, out);
  const std::vector<std::byte> row = ResultsFile::open_for_reading(out).read("/posterior/mean", 1);
  std::string content = read_text(out);
  const std::size_t at = content.find(std::string(reinterpret_cast<const char*>(row.data()), row.size()));
  ASSERT_NE(at, std::string::npos);
  content[at + 5] ^= 16;
  write_text(out, content);
  const Finished again = run(2, job(out));
  expect_code(again, 0);
  EXPECT_TRUE(contains(again.err, "two.npy")) << again.err;
  EXPECT_TRUE(contains(again.err, "checksum")) << again.err;
  EXPECT_TRUE(contains(again.err, "1 of 2 images are in")) << again.err;
  EXPECT_EQ(difference(bits_of(out), bits_of(whole)), "");
}

TEST_F(Signals, AFileBesideTheResultsStopsThemAndTheResultsAloneGoOn) {
  Process process = start(3, job(out, 3, "0.001"));
  ASSERT_TRUE(in_mid_image(process));
  const fs::path note = out.string() + ".stop";
  std::ofstream{note};
  const Finished stopped = finished(process);
  expect_code(stopped, 75);
  expect_readable(stopped);
  EXPECT_TRUE(contains(stopped.err, "stop was there; removed")) << stopped.err;
  EXPECT_FALSE(fs::exists(note));
  EXPECT_FALSE(checkpoints().empty());

  const Finished refused = run(0, {"restore", out.string(), "--flow.seed", "7"});
  expect_code(refused, 64);
  EXPECT_TRUE(contains(refused.err, "flow.seed cannot be given beside the results file")) << refused.err;

  const Finished images = run(0, {"restore", (shared / "images.npy").string()});
  expect_code(images, 65);
  EXPECT_TRUE(contains(images.err, "images are named by --input.data")) << images.err;

  const Finished resumed = run(2, {"restore", out.string(), "--run.ranks_per_image", "2"});
  expect_code(resumed, 0);
  EXPECT_TRUE(contains(resumed.err, "goes on after step")) << resumed.err;
  EXPECT_EQ(difference(bits_of(out), bits_of(shared / "undisturbed.h5")), "");
}

TEST_F(Signals, ALimitToItsTimeStopsAJobBefore) {
  Arguments limited = job(out, 1);
  limited.insert(limited.end(),
                 {"--run.time_limit", "00:00:01"});  // the reserve for a checkpoint takes it all
  const Finished stopped = run(2, limited);
  expect_code(stopped, 75);
  expect_readable(stopped);
  EXPECT_TRUE(contains(stopped.err, "run.time_limit: ")) << stopped.err;
  EXPECT_EQ(committed(out), 0);

  limited.back() = "slurm";
  const Finished alone = run(0, limited);
  expect_code(alone, 64);
  EXPECT_TRUE(contains(alone.err, "set run.time_limit = HH:MM:SS")) << alone.err;
  limited.back() = "1:30";
  EXPECT_TRUE(contains(run(0, limited).err, "none, slurm, or HH:MM:SS"));
  expect_undisturbed_bits(2, 1);
}

}  // namespace
}  // namespace dwgf::test
