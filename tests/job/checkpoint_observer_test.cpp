// What is kept of an image that is being worked on, on one rank, with real signals.
#include "job/checkpoint_observer.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/grid.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {
namespace {

using Steps = std::vector<std::int64_t>;

constexpr std::int64_t last_step = 100;

class Keeper : public testing::Test {
 protected:
  Keeper() { std::filesystem::remove_all(Checkpoints::folder(results_)); }
  ~Keeper() override { std::filesystem::remove_all(Checkpoints::folder(results_)); }

  /// One more step is done; false if the flow ends with it.
  bool step() {
    ++state_.step;
    return keeper_.at_step_boundary(state_, monitor_);
  }
  /// Two steps: what is asked for before a boundary is voted on there and done at the next one.
  void checkpoint() {
    raise(SIGUSR2);
    EXPECT_TRUE(step());
    EXPECT_TRUE(step());
  }
  Steps kept() const { return Checkpoints(results_, image, job, 1).steps(); }

  static constexpr std::uint64_t image = 3, job = 9;

  std::string results_ =
      (std::filesystem::temp_directory_path() / ("dwgf-keeper-" + std::to_string(getpid()))).string();
  Communicator self_ = Communicator::self();
  ScopedSignals signals_;
  StopFlag stop_flag_{self_};
  Progress progress_{self_, 1, 0, true, {1, last_step}};
  Watchdog watchdog_{{}, Watchdog::Seconds(0)};
  FlowState state_ = initial_state(share_particles(1, 1, 0, 1), {1, 2, 2}, 0, image, at::kFloat);
  Monitor monitor_{FlowOptions{}, last_step, self_};
  CheckpointObserver keeper_{
      {signals_, stop_flag_, progress_, watchdog_}, self_, "an image", Checkpoints(results_, image, job, 1)};
};

TEST_F(Keeper, LeavesTheTwoLastCheckpoints) {
  checkpoint();
  EXPECT_EQ(kept(), (Steps{2}));
  checkpoint();
  checkpoint();
  EXPECT_EQ(kept(), (Steps{6, 4}));
  keeper_.finish();
  EXPECT_EQ(kept(), Steps{});
}

// Ranks are told to end at different steps, and each writes the two that it has: what all of them have
// written before has to stay until all are gone.
TEST_F(Keeper, RemovesNothingOnceTheProcessIsToEnd) {
  checkpoint();
  checkpoint();
  EXPECT_TRUE(step());
  raise(SIGTERM);
  while (kept() != Steps{5, 4, 2}) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(step());
  EXPECT_FALSE(step());
  EXPECT_EQ(kept(), (Steps{7, 5, 4, 2}));
}

}  // namespace
}  // namespace dwgf
