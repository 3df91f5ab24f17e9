// A job that is killed at the k-th system call that changes one of its files, for chosen k or for every one:
// the results that are there open, what is committed is intact, and going on gives the bits of an undisturbed
// run. With a checkpoint after every step, so that those are hit as well. tools/torture runs every (K-th)
// one; DWGF_TEST_INJECTIONS and DWGF_TEST_INJECTIONS_FROM are read here only.
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "killing.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

struct Job {
  int ranks;   // 0: without mpirun
  int victim;  // the rank that is killed
};

int stride_asked_for() {
  const char* text = std::getenv("DWGF_TEST_INJECTIONS");
  return text ? std::max(std::atoi(text), 1) : 0;
}

int first_asked_for() {
  const char* text = std::getenv("DWGF_TEST_INJECTIONS_FROM");
  return text ? std::atoi(text) : 0;
}

class Injection : public testing::Test {
 protected:
  fs::path folder = new_folder("injection");
  fs::path images = make_array(folder / "images.npy", 3);
  int runs = 0, killed = 0, checked = 0, points = 0;
  std::string shards = "1";
  ResultsBits expected;

  Arguments job(const fs::path& out, int ranks) const {
    return small_job(images, out,
                     {"--store.latents", "float64", "--flow.particles", "3", "--run.ranks_per_image",
                      std::to_string(std::max(ranks, 1)), "--run.checkpoint_seconds", "0.000001",
                      "--store.shards", shards});
  }

  /// Kills at call `at`; 0: never. Returns what is told of the run.
  Finished run_killed(const fs::path& out, Job which, long at, bool torn, const fs::path& count = "") {
    const Arguments variables = {"env",
                                 std::string("LD_PRELOAD=") + DWGF_WRITE_KILLER,
                                 "DWGF_KILL_FILE=" + out.filename().string(),
                                 "DWGF_KILL_RANK=" + std::to_string(which.victim),
                                 "DWGF_KILL_AT=" + std::to_string(at),
                                 std::string("DWGF_KILL_TORN=") + (torn ? "1" : "0"),
                                 "DWGF_KILL_COUNT=" + count.string()};
    ++runs;
    return start_command(variables + command_line(which.ranks, job(out, which.ranks)))
        .wait(std::chrono::seconds(kPatience));
  }

  void kill_and_go_on(Job which, long at, bool torn) {
    SCOPED_TRACE("rank " + std::to_string(which.victim) + " of " + std::to_string(which.ranks) +
                 ", killed at call " + std::to_string(at) + (torn ? ", torn" : ""));
    const fs::path place = folder / "place", out = place / "r.h5";
    fs::remove_all(place);
    fs::create_directory(place);
    const Finished finished = run_killed(out, which, at, torn);
    EXPECT_FALSE(finished.timed_out);
    EXPECT_EQ(finished.outlived, 0);
    killed += finished.code != 0;
    checked += static_cast<int>(intact(out).size());
    ++runs;
    const Finished again = run(0, job(out, 1));
    expect_code(again, 0);
    expect_readable(again);
    EXPECT_EQ(difference(bits_of(out), expected), "");
    for (const auto& file : fs::directory_iterator(place))
      EXPECT_TRUE(file.path().filename() == "r.h5" || file.path().filename() == "r.h5.verified" ||
                  (file.path().filename() == "r.h5.shards" && shards != "1"))
          << file.path() << " is left behind";
    if (shards == "1") return;
    for (const auto& file : fs::directory_iterator(place / "r.h5.shards"))
      EXPECT_EQ(file.path().extension(), ".h5") << file.path() << " is left behind";
  }

  /// Every `stride`-th call, the first of which is asked for too; 0: a sample of the given size.
  void kill_at_calls(Job which, int stride, std::size_t sample) {
    const fs::path count = folder / ("count" + std::to_string(points));
    const fs::path counted = folder / ("counted" + std::to_string(points)) / "r.h5";
    fs::create_directory(counted.parent_path());
    expect_code(run_killed(counted, which, 0, false, count), 0);
    const long calls = static_cast<long>(fs::exists(count) ? fs::file_size(count) : 0);
    ASSERT_GT(calls, which.victim == 0 ? 60 : 5) << "the calls are not seen";
    std::vector<long> chosen;
    for (long at = 1; at <= calls; ++at) chosen.push_back(at);
    if (stride > 0) {
      std::erase_if(chosen, [&](long at) { return at % stride != first_asked_for() % stride; });
    } else {
      std::shuffle(chosen.begin(), chosen.end(), random);
      chosen.resize(sample);
    }
    for (const long at : chosen) {
      for (const bool torn : {false, true}) {
        if (stride == 0 && torn != (at % 2 == 0)) continue;
        kill_and_go_on(which, at, torn);
        ++points;
        ASSERT_FALSE(HasFailure());
      }
    }
    std::cout << "torture: killing rank " << which.victim << " of " << std::max(which.ranks, 1) << ": "
              << chosen.size() << " of " << calls << " calls\n"
              << std::flush;
  }

  void report() const {
    EXPECT_GT(killed, 0);
    EXPECT_GE(killed * 10, points * 9) << "most runs ended before they could be killed";
    std::cout << "torture: " << points << " points, " << runs << " runs, " << killed << " killed, " << checked
              << " committed images checked, 0 lost" << (shards == "1" ? "" : ", in " + shards + " shards")
              << "\n";
  }

  std::mt19937 random{11};
};

TEST_F(Injection, AtAnyWriteLosesNothingAndChangesNoBits) {
  expect_code(run(0, job(folder / "undisturbed.h5", 1)), 0);
  expected = bits_of(folder / "undisturbed.h5");
  for (const Job which : {Job{0, 0}, Job{2, 0}, Job{2, 1}})
    kill_at_calls(which, stride_asked_for(), which.ranks == 0 ? 4 : 1);
  report();
}

TEST_F(Injection, OfShardsLosesNothingEither) {
  expect_code(run(0, job(folder / "undisturbed.h5", 1)), 0);
  expected = bits_of(folder / "undisturbed.h5");
  shards = "2";
  kill_at_calls({0, 0}, stride_asked_for(), 3);
  report();
}

}  // namespace
}  // namespace dwgf::test
