// What a step of every method asks of a device: kernels to be launched, copies for which the host waits, and
// copies to the device. Numbers that may only fall: where a change makes one fall, write the lower one here.
#include <array>
#include <cstdio>

#include <ATen/Parallel.h>

#include <dwgf/base/format.hpp>
#include <dwgf/comm/mpi.hpp>

#include "device_cases.hpp"
#include "flow/snapshot.hpp"

namespace dwgf::test {
namespace {

/// Of one rank's step of two micro-batches, with its record and its snapshot, as `restore` takes it.
struct Budget {
  const char* name;  ///< of device_cases, and whether the networks compute in bf16
  std::uint64_t syncs, operators, uploads;
};

constexpr std::array kBudgets = {
    Budget{"paper", 16, 2361, 0},
    Budget{"paper, bf16", 26, 2711, 0},
    Budget{"fast", 14, 1782, 0},
    Budget{"fast, bf16", 20, 2080, 0},
    Budget{"bayes", 18, 5098, 8},
    Budget{"bayes, bf16", 44, 6212, 8},
    Budget{"mean code", 16, 2077, 0},
    Budget{"mean code, bf16", 26, 2427, 0},
    Budget{"gaussian", 14, 2412, 0},
    Budget{"gaussian, bf16", 24, 2762, 0},
    Budget{"full covariance", 15, 2385, 0},
    Budget{"full covariance, bf16", 25, 2735, 0},
    Budget{"lowrank covariance", 18, 2391, 0},
    Budget{"lowrank covariance, bf16", 28, 2741, 0},
    Budget{"no interaction", 14, 2332, 0},
    Budget{"no interaction, bf16", 24, 2682, 0},
    Budget{"affine", 57, 596, 8},
    Budget{"sdxl", 16, 2869, 2},
    Budget{"rlsd", 20, 1690, 0},
    Budget{"rlsd, bf16", 28, 2012, 0},
    Budget{"psld", 14, 2302, 0},
    Budget{"psld, bf16", 26, 2740, 0},
    Budget{"latent-dps", 14, 2144, 0},
    Budget{"latent-dps, bf16", 22, 2512, 0},
    Budget{"kalman", 16, 3988, 2},
    Budget{"kalman, bf16", 20, 4070, 2},
    Budget{"latino", 14, 3316, 2},
    Budget{"latino, bf16", 20, 3426, 2},
    Budget{"latino measured", 14, 3310, 2},
    Budget{"latino measured, bf16", 20, 3420, 2},
    Budget{"stable diffusion 3", 14, 3070, 2},
    Budget{"stable diffusion 3.5", 14, 1891, 0},
    Budget{"few steps", 14, 3328, 2},
    Budget{"tiny autoencoder", 16, 1689, 0},
};

/// Takes the snapshot that a job keeps of every step.
struct SnapshotTaker final : FlowObserver {
  bool at_step_boundary(const FlowState& state, const Monitor& monitor) override {
    take_snapshot(state, monitor);
    return true;
  }
};

guarded::Counts counted(const DeviceCase& one, const Problem& problem, std::int64_t steps) {
  SelfCollective self;
  SnapshotTaker observer;
  FlowOptions options = options_of(one, steps);
  options.stall = 0.0;
  guarded::reset_counts();
  solve(problem, options, RankGroup{self, self}, observer);
  return guarded::counts();
}

/// Of a step in the middle: what four take and two do not.
Budget measured(const DeviceCase& one, const char* name, bool half) {
  PriorOptions options;
  options.device = guarded::device();
  if (half) options.unet_type = options.autoencoder_type = at::kBFloat16;
  if (!one.codec.empty()) options.codec = prior_data(one.codec);
  options.keeps_own_codec = true;
  const auto prior = load_prior(prior_data(one.prior), options);
  if (!prior->geometry.only) prior->moments = some_moments(*prior);
  const SmallProblem problem(*prior);
  const guarded::Counts two = counted(one, problem.problem(), 2), four = counted(one, problem.problem(), 4);
  return {name, (four.syncs - two.syncs) / 2, (four.operators - two.operators) / 2,
          (four.uploads - two.uploads) / 2};
}

TEST(SerialDeviceBudget, AStepAsksNoMoreOfADeviceThanBefore) {
  at::set_num_threads(1);
  std::string table;
  for (const DeviceCase& one : device_cases()) {
    for (const bool half : {false, true}) {
      if (half && one.prior != "sd1") continue;
      const std::string name = one.name + (half ? ", bf16" : "");
      const Budget found = measured(one, name.c_str(), half);
      table +=
          formatted("    Budget{{\"{}\", {}, {}, {}}},\n", name, found.syncs, found.operators, found.uploads);
      const auto* const budget =
          std::ranges::find_if(kBudgets, [&](const Budget& row) { return row.name == name; });
      EXPECT_NE(budget, kBudgets.end()) << name << " has no row";
      if (budget == kBudgets.end()) continue;
      EXPECT_LE(found.syncs, budget->syncs) << name;
      EXPECT_LE(found.operators, budget->operators) << name;
      EXPECT_LE(found.uploads, budget->uploads) << name;
    }
  }
  if (HasFailure()) std::printf("as measured now:\n%s", table.c_str());
}

}  // namespace
}  // namespace dwgf::test
