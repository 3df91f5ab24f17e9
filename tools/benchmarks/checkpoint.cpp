// Times a checkpoint of one image at Stable Diffusion's size for 512 x 512, fp32: taking the snapshot, as
// after every step, and writing it. Started by `tools/bench checkpoint`.
#include "store/checkpoint.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/comm/grid.hpp>

#include "flow/snapshot.hpp"

namespace {

using namespace dwgf;
using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return 1e3 * std::chrono::duration<double>(Clock::now() - start).count();
}

/// Median and largest.
void print_times(const char* what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("| %s | %.2f | %.2f |\n", what, times[times.size() / 2], times.back());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  constexpr std::int64_t particles = 4;
  FlowOptions options;
  options.particles = particles;
  SelfCollective self;
  const Monitor monitor(options, 998, self);
  const FlowState state = initial_state(share_particles(particles, 1, 0, 1), {4, 64, 64}, 0, 0,
                                        at::TensorOptions().dtype(at::kFloat));
  Checkpoints checkpoints(argv[1], 0, 0, particles);
  std::vector<double> taken, written;
  for (int turn = 0; turn < 50; ++turn) {
    const auto start = Clock::now();
    Snapshot snapshot = take_snapshot(state, monitor);
    taken.push_back(milliseconds_since(start));
    snapshot.step = turn;
    const auto ready = Clock::now();
    checkpoints.write(snapshot);
    checkpoints.remove_older();
    written.push_back(milliseconds_since(ready));
  }
  checkpoints.remove();
  std::printf("| | median [ms] | largest of %zu [ms] |\n|---|---|---|\n", taken.size());
  print_times("snapshot in memory, after every step", taken);
  print_times("checkpoint written", written);
}
