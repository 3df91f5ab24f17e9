// `calibrate-prior` as users start it: images of several sizes, kills, signals, refusals.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

#include <dwgf/base/format.hpp>

#include "e2e/refusals.hpp"
#include "e2e/workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Arguments calibration(const fs::path& images, const fs::path& to, const Arguments& more = {}) {
  return Arguments{"calibrate-prior",
                   "--prior.path",
                   small_prior(),
                   "--input.data",
                   images,
                   "--to",
                   to,
                   "--batch",
                   "2",
                   "--levels",
                   "-1,1",
                   "--radius",
                   "2"} +
         more;
}

/// Waits until a rank has kept its sums, or the run has ended.
void wait_for_a_part(Process& process, const fs::path& to) {
  while (process.running() && !fs::exists(to.string() + ".part-0")) std::this_thread::sleep_for(5ms);
}

TEST(Calibrate, ImagesOfSeveralSizesGiveTheSameBitsOnEveryNumberOfRanks) {
  const fs::path folder = new_folder("calibrate"), images = folder / "images";
  fs::create_directory(images);
  for (unsigned k = 0; k < 3; ++k) make_picture(images / formatted("a{}.png", k), k, 32, 32);
  for (unsigned k = 0; k < 3; ++k) make_picture(images / formatted("b{}.png", k), 9 + k, 21, 40);
  expect_code(run(0, calibration(images, folder / "one")), 0);
  expect_code(run(3, calibration(images, folder / "three")), 0);
  EXPECT_EQ(read_text(folder / "one"), read_text(folder / "three"));
  const Finished full = run(0, calibration(images, folder / "full", {"--form", "full"}));
  expect_refused(full, 64, {"--form full", "several sizes", "--form shift-invariant"});
}

TEST(Calibrate, GoesOnAfterItWasKilledOrAskedToStop) {
  const fs::path folder = new_folder("calibrate-killed"), images = make_array(folder / "x.npy", 300);
  const Arguments often{"--run.checkpoint_seconds", "0.01", "--form", "shift-invariant"};
  expect_code(run(0, calibration(images, folder / "whole", often)), 0);
  for (const int signal : {SIGKILL, SIGTERM, SIGUSR1}) {
    SCOPED_TRACE(signal);
    const fs::path to = folder / formatted("m{}", signal);
    Process process = start(2, calibration(images, to, often));
    wait_for_a_part(process, to);
    const std::vector<pid_t> ranks = process.below("dwgf");
    kill(signal == SIGTERM || ranks.empty() ? process.pid() : ranks.back(), signal);
    const Finished finished = process.wait(std::chrono::seconds(kPatience));
    if (signal == SIGUSR1 && !fs::exists(to)) expect_code(finished, 75);
    if (fs::exists(to)) continue;  // it had ended before the signal came
    const Finished again = run(1, calibration(images, to, often));
    expect_code(again, 0);
    EXPECT_TRUE(contains(again.err, "were measured already")) << again.err;
    EXPECT_EQ(read_text(to), read_text(folder / "whole"));
    EXPECT_FALSE(fs::exists(to.string() + ".part-0") || fs::exists(to.string() + ".part-1"));
  }
}

TEST(Calibrate, RefusesWhatCannotBe) {
  const fs::path folder = new_folder("calibrate-refused"), images = make_array(folder / "x.npy", 2);
  write_text(folder / "left.part-0", "of another run");
  expect_refusals({
      {"parts of another run", calibration(images, folder / "left"), 65, {"left.part-0", "remove it"}},
      {"no images", {"calibrate-prior", "--to", folder / "m"}, 64, {"input.data is not set", "--samples"}},
      {"a folder that is not there", calibration(images, folder / "none/m"), 74, {"none", "--to"}},
      {"images that are not there", calibration(folder / "y.npy", folder / "m"), 66, {"y.npy"}},
      {"samples of no size",
       {"calibrate-prior", "--samples", "2", "--to", folder / "m"},
       64,
       {"--size is not set"}},
      {"levels out of order", calibration(images, folder / "m", {"--levels", "1,0"}), 64, {"ascending"}},
  });
}

}  // namespace
}  // namespace dwgf::test
