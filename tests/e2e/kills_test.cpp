// A job may be killed at any moment, in any way: what was committed stays, and going on gives the bits of a
// run that nobody disturbed. tools/torture runs this with more kills; DWGF_TEST_KILLS, DWGF_TEST_RANKS
// and DWGF_TEST_SHARDS are read here only.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <thread>

#include <gtest/gtest.h>

#include "killing.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

/// The signals that the process `pid` handles by a function of its own or of its libraries: bit n - 1 for
/// signal n, as in /proc.
std::uint64_t caught_signals(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("SigCgt:", 0) == 0) return std::stoull(line.substr(7), nullptr, 16);
  throw std::runtime_error("no SigCgt in the status of process " + std::to_string(pid));
}

constexpr std::int64_t kImages = 6;
/// Long enough for a kill to hit the middle of it.
const Arguments kJob = {"--flow.grid",       "100",     "--flow.steps",    "8",
                        "--store.particles", "float32", "--store.latents", "float64"};

struct Tally {
  int runs = 0, kills = 0, finished = 0, images_checked = 0, losses = 0;
};

class Kills : public testing::Test {
 protected:
  fs::path folder = new_folder("kills");
  fs::path images = make_array(folder / "images.npy", kImages);
  std::mt19937 random{20260101};
  Tally tally;

  Arguments job(const fs::path& out, int ranks_per_image = 1) const {
    return small_job(
        images, out,
        kJob + Arguments{"--run.ranks_per_image", std::to_string(ranks_per_image), "--store.shards",
                         std::to_string(from_environment("DWGF_TEST_SHARDS", 1))});
  }

  /// A run that is killed after some more images and a while; whether it was still running then.
  bool run_and_kill(const fs::path& out, int ranks) {
    const Victim victim = static_cast<Victim>(random() % 4);
    const std::int64_t more = static_cast<std::int64_t>(random() % 3);
    const auto pause = std::chrono::milliseconds(random() % (more == 0 ? 1500 : 200));
    const int ranks_per_image = 1 + static_cast<int>(random() % 2);
    SCOPED_TRACE(std::string("killing ") + kVictims[static_cast<int>(victim)] + " after " +
                 std::to_string(more) + " images and " + std::to_string(pause.count()) + " ms");
    const std::int64_t before = std::max<std::int64_t>(committed(out), 0);
    ++tally.runs;
    Process process = start(ranks, job(out, ranks_per_image));
    if (more > 0) wait_for_images(process, out, std::min(before + more, kImages));
    std::this_thread::sleep_for(pause);
    const bool killed = process.running();
    if (killed) kill_victim(process, victim, random);
    const Finished finished = process.wait(std::chrono::seconds(kPatience));
    EXPECT_FALSE(finished.timed_out) << finished.err;
    EXPECT_EQ(finished.outlived, 0) << "ranks outlived " << kVictims[static_cast<int>(victim)];
    tally.kills += killed;
    return killed;
  }

  /// What was there before is there still, and all that claims to be committed is intact.
  void check(const fs::path& out, std::vector<std::uint64_t>& known) {
    const std::vector<std::uint64_t> now = intact(out);
    tally.images_checked += static_cast<int>(now.size());
    for (const std::uint64_t id : known) {
      if (std::count(now.begin(), now.end(), id)) continue;
      ++tally.losses;
      ADD_FAILURE() << "image " << id << " was committed before the kill and is not any more";
    }
    known = now;
  }

  void finish(const fs::path& out, const ResultsBits& expected, int ranks) {
    ++tally.runs;
    ++tally.finished;
    expect_code(run(ranks, job(out)), 0);
    EXPECT_EQ(difference(bits_of(out), expected), "") << "after kills, in " << out;
    fs::remove(out);
    fs::remove_all(out.string() + ".shards");
  }
};

TEST_F(Kills, LoseNothingThatWasCommittedAndChangeNoBits) {
  const int kills = from_environment("DWGF_TEST_KILLS", 3), ranks = from_environment("DWGF_TEST_RANKS", 3);
  ASSERT_GT(kills, 0);
  ASSERT_GT(ranks, 0);
  expect_code(run(0, job(folder / "undisturbed.h5")), 0);
  const ResultsBits expected = bits_of(folder / "undisturbed.h5");

  const fs::path out = folder / "r.h5";
  std::vector<std::uint64_t> known;
  // A run that ended before its kill is no kill, so there may be more runs than kills, but not without end.
  while (tally.kills < kills && tally.runs < 4 * kills + 10 && !HasFailure()) {
    run_and_kill(out, ranks);
    check(out, known);
    if (committed(out) < kImages) continue;
    finish(out, expected, ranks);
    known.clear();
  }
  if (!HasFailure()) finish(out, expected, ranks);
  EXPECT_GE(tally.kills, kills);
  EXPECT_GT(tally.images_checked, 0) << "no kill came after an image was committed, so nothing was tested";
  std::cout << "torture: " << tally.runs << " runs on " << ranks << " ranks, " << tally.kills << " killed, "
            << tally.finished << " brought to their end, " << tally.images_checked
            << " committed images checked, " << tally.losses << " lost\n";
}

TEST_F(Kills, OfACreationLeaveNothingInTheWay) {
  const fs::path out = folder / "r.h5";
  write_text(out.string() + ".creating", "half a file");
  expect_code(run(2, job(out)), 0);
  EXPECT_EQ(intact(out).size(), static_cast<std::size_t>(kImages));
  EXPECT_FALSE(fs::exists(out.string() + ".creating"));
}

// A handler that prints a stack trace allocates, and hangs where the crash was inside malloc.
TEST_F(Kills, NoLibraryHandlesACrash) {
  Process process = start(2, job(folder / "r.h5") + Arguments{"--flow.particles", "40"});
  ASSERT_TRUE(wait_for_images(process, folder / "r.h5", 0));
  const std::vector<pid_t> ranks = process.below("dwgf");
  ASSERT_EQ(ranks.size(), 2u);
  for (const pid_t rank : ranks)
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
      EXPECT_EQ(caught_signals(rank) >> (signal - 1) & 1, 0u) << strsignal(signal) << " is handled";
}

TEST_F(Kills, OneRankThatCrashesEndsAllWithinSeconds) {
  const fs::path out = folder / "r.h5";
  Process process = start(3, job(out) + Arguments{"--flow.particles", "40"});
  ASSERT_TRUE(wait_for_images(process, out, 0));
  const std::vector<pid_t> ranks = process.below("dwgf");
  ASSERT_EQ(ranks.size(), 3u);
  const auto start = std::chrono::steady_clock::now();
  kill(ranks[1], SIGSEGV);
  const Finished finished = process.wait(std::chrono::seconds(60));
  EXPECT_FALSE(finished.timed_out);
  EXPECT_NE(finished.code, 0);
  EXPECT_EQ(finished.outlived, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
}

TEST_F(Kills, ARankThatHangsEndsTheJobAndWhoWaitsForItSaysSo) {
  const fs::path out = folder / "r.h5";
  const Arguments hanging = {"--flow.particles", "20", "--run.watchdog_minutes", "0.05"};
  Process process = start(3, job(out, 3) + hanging);
  ASSERT_TRUE(wait_for_images(process, out, 1));
  const std::vector<pid_t> ranks = process.below("dwgf");
  ASSERT_EQ(ranks.size(), 3u);
  kill(ranks[1], SIGSTOP);
  const Finished finished = process.wait(std::chrono::seconds(60));
  expect_code(finished, 71);
  expect_readable(finished);
  for (const char* part : {"of 3 on ", "no progress for", "run.watchdog_minutes = 0.05", "; image '"})
    EXPECT_TRUE(contains(finished.err, part)) << part << " is missing in:\n" << finished.err;
}

}  // namespace
}  // namespace dwgf::test
