// The program on a device whose memory the host cannot touch (support/guarded_device.hpp), as users start it:
// several ranks share it and exchange through the host's memory.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "killing.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Devices : public testing::Test {
 protected:
  fs::path folder = new_folder("devices");
  fs::path images = make_array(folder / "images.npy", 2);
  std::mt19937 random{1};

  static Process start_on_device(int ranks, const Arguments& arguments) {
    const std::vector<std::string> mpiexec = {DWGF_MPIEXEC, "-n", std::to_string(ranks),
                                              DWGF_GUARDED_PROGRAM};
    return start_command(mpiexec + arguments);
  }
  static Finished run_on_device(int ranks, const Arguments& arguments) {
    return start_on_device(ranks, arguments).wait(std::chrono::seconds(kPatience));
  }
  Arguments job(const std::string& out, const Arguments& more = {}) const {
    return small_job(images, folder / out,
                     Arguments{"--flow.particles", "3", "--flow.steps", "8", "--store.latents", "float64",
                               "--run.ranks_per_image", "2"} +
                         more);
  }
};

TEST_F(Devices, APlanNamesTheDeviceItsExchangeAndItsMemory) {
  const Finished plan = run_on_device(2, job("never.h5", {"--dry-run"}));
  expect_code(plan, 0);
  for (const char* part :
       {"computes on GPU 0 (a guarded device)", "exchange            host memory: ", "memory              "})
    EXPECT_TRUE(contains(plan.out, part)) << part << "\n" << plan.out << plan.err;
}

TEST_F(Devices, WhatIsKilledGoesOnWithTheSameBits) {
  expect_code(run_on_device(1, job("whole.h5", {"--run.checkpoint_seconds", "0"})), 0);
  const Arguments often = {"--run.checkpoint_seconds", "0.001"};
  Process process = start_on_device(2, job("killed.h5", often));
  // Into the middle of an image: when each rank has written its first checkpoint.
  const auto checkpoints = [&] {
    std::error_code ignored;
    const fs::directory_iterator files(folder / "killed.h5.checkpoint", ignored);
    return std::distance(begin(files), end(files));
  };
  while (process.running() && checkpoints() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_TRUE(process.running()) << "ended before its first checkpoint";
  kill_victim(process, Victim::everything, random);
  EXPECT_EQ(process.wait(std::chrono::seconds(kPatience)).outlived, 0);
  const Finished again = run_on_device(2, job("killed.h5", often));
  expect_code(again, 0);
  EXPECT_TRUE(contains(again.err, "goes on after step")) << again.err;
  EXPECT_EQ(difference(bits_of(folder / "killed.h5"), bits_of(folder / "whole.h5")), "");
}

}  // namespace
}  // namespace dwgf::test
