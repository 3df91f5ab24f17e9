// What a job leaves in memory and in the folder of temporary files when its mpirun is killed goes with the
// next start; what belongs to a job that runs stays.
#include <chrono>

#include <gtest/gtest.h>
#include <signal.h>

#include "killing.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

std::size_t count(const fs::path& folder, const std::string& start) {
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    found += entry.path().filename().string().starts_with(start);
  return found;
}

TEST(Leftovers, OfAKilledJobGoWithTheNextStartAndALivingOneKeepsItsOwn) {
  const fs::path folder = new_folder("leftovers"), images = make_array(folder / "images.npy", 3),
                 common = folder / "common";
  fs::create_directory(common);
  const auto job = [&](const std::string& out, int particles) {
    return small_job(
        images, folder / out,
        {"--flow.grid", "400", "--flow.steps", "399", "--flow.particles", std::to_string(particles)});
  };
  const auto start_there = [&](int ranks, const Arguments& arguments) {
    return start_command(Arguments{"env", "TMPDIR=" + common.string(),
                                   "OMPI_MCA_btl_vader_backing_directory=" + common.string()} +
                         command_line(ranks, arguments));
  };
  // One after the other: mpiruns that start at once in one folder can remove each other's session directory.
  Process living = start_there(2, job("living.h5", 200));
  ASSERT_TRUE(wait_for_images(living, folder / "living.h5", 0));
  Process killed = start_there(2, job("killed.h5", 200));
  ASSERT_TRUE(wait_for_images(killed, folder / "killed.h5", 0));
  kill(killed.pid(), SIGKILL);
  EXPECT_EQ(killed.wait(std::chrono::seconds(30)).outlived, 0);
  ASSERT_EQ(count(common, "vader_segment."), 4u) << "Open MPI left nothing behind, so that nothing is tested";
  ASSERT_EQ(count(common, "pid."), 2u);

  expect_code(start_there(2, small_job(images, folder / "next.h5")).wait(std::chrono::seconds(kPatience)), 0);
  EXPECT_EQ(count(common, "vader_segment."), 2u);
  EXPECT_EQ(count(common, "pid."), 1u);

  ASSERT_TRUE(living.running());
  kill(living.pid(), SIGUSR1);
  expect_code(living.wait(std::chrono::seconds(60)), 75);
  EXPECT_EQ(count(common, "vader_segment."), 0u);
}

}  // namespace
}  // namespace dwgf::test
