// What a step of every method asks of a device: kernels to be launched, copies for which the host waits, and
// copies to the device. Numbers that may only fall: where a change makes one fall, write the lower one here.
#include <array>
#include <cstdio>
#include <utility>

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
    Budget{"paper", 10, 1055, 0},
    Budget{"paper, bf16", 10, 1182, 0},
    Budget{"fast", 8, 770, 0},
    Budget{"fast, bf16", 8, 865, 0},
    Budget{"bayes", 12, 2778, 8},
    Budget{"bayes, bf16", 12, 3079, 8},
    Budget{"mean code", 10, 1049, 0},
    Budget{"mean code, bf16", 10, 1176, 0},
    Budget{"gaussian", 8, 1043, 0},
    Budget{"gaussian, bf16", 8, 1170, 0},
    Budget{"full covariance", 9, 1079, 0},
    Budget{"full covariance, bf16", 9, 1206, 0},
    Budget{"lowrank covariance", 12, 1085, 0},
    Budget{"lowrank covariance, bf16", 12, 1212, 0},
    Budget{"no interaction", 8, 1026, 0},
    Budget{"no interaction, bf16", 8, 1153, 0},
    Budget{"affine", 33, 604, 8},
    Budget{"sdxl", 10, 1469, 2},
    Budget{"rlsd", 8, 952, 0},
    Budget{"rlsd, bf16", 8, 1061, 0},
    Budget{"psld", 8, 1928, 0},
    Budget{"psld, bf16", 8, 2133, 0},
    Budget{"latent-dps", 8, 1466, 0},
    Budget{"latent-dps, bf16", 8, 1621, 0},
    Budget{"kalman", 8, 3588, 2},
    Budget{"kalman, bf16", 8, 3647, 2},
    Budget{"latino", 8, 2904, 2},
    Budget{"latino, bf16", 8, 2981, 2},
    Budget{"latino measured", 8, 2898, 2},
    Budget{"latino measured, bf16", 8, 2975, 2},
    Budget{"stable diffusion 3", 8, 2747, 2},
    Budget{"stable diffusion 3.5", 8, 968, 0},
    Budget{"few steps", 8, 2916, 2},
    Budget{"tiny autoencoder", 10, 707, 0},
};

/// Takes the snapshot that a job keeps of every step, as CheckpointObserver does.
struct SnapshotTaker final : FlowObserver {
  bool at_step_boundary(const FlowState& state, const Monitor& monitor) override {
    std::swap(before, newest);
    newest.begin(state, monitor);
    return true;
  }
  SnapshotCopy newest, before;
};

constexpr std::int64_t kNever = 1000;

guarded::Counts counted(const DeviceCase& one, const Problem& problem, std::int64_t steps,
                        std::int64_t record_every) {
  SelfCollective self;
  SnapshotTaker observer;
  FlowOptions options = options_of(one, steps);
  options.stall = 0.0;
  options.record_every = record_every;
  guarded::reset_counts();
  solve(problem, options, RankGroup{self, self}, observer);
  return guarded::counts();
}

/// Of a step in the middle: what four take and two do not. The first and the last are recorded always.
Budget measured(const DeviceCase& one, const char* name, bool half, std::int64_t record_every = 1) {
  PriorOptions options;
  options.device = guarded::device();
  if (half) options.unet_type = options.autoencoder_type = at::kBFloat16;
  if (!one.codec.empty()) options.codec = prior_data(one.codec);
  options.keeps_own_codec = true;
  const auto prior = load_prior(prior_data(one.prior), options);
  if (!prior->geometry.only) prior->moments = some_moments(*prior);
  const SmallProblem problem(*prior);
  const guarded::Counts two = counted(one, problem.problem(), 2, record_every),
                        four = counted(one, problem.problem(), 4, record_every);
  return {name, (four.syncs - two.syncs) / 2, (four.operators - two.operators) / 2,
          (four.uploads - two.uploads) / 2};
}

TEST(SerialDeviceBudget, AStepAsksNoMoreOfADeviceThanBefore) {
  at::set_num_threads(1);
  std::string table;
  bool fewer = false;
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
      fewer = fewer || found.syncs < budget->syncs || found.operators < budget->operators ||
              found.uploads < budget->uploads;
    }
  }
  if (HasFailure() || fewer) std::printf("as measured now:\n%s", table.c_str());
}

/// The names and numbers of the waits in one run, for a message.
std::string waits_of_last_run() {
  std::string text;
  for (const auto& [name, count] : guarded::counts().sync_calls) text += formatted(" {} {}", name, count);
  return text;
}

TEST(SerialDeviceBudget, TheHostWaitsForNothingInAStepThatRecordsNothing) {
  at::set_num_threads(1);
  for (const bool half : {false, true}) {
    for (const DeviceCase& one : {DeviceCase{"paper", {}},
                                  {"fast", {"--flow.preset", "fast"}},
                                  {"quick", {"--flow.preset", "quick"}}})
      EXPECT_EQ(measured(one, "", half, kNever).syncs, 0u)
          << one.name << (half ? ", bf16:" : ":") << waits_of_last_run();
    // Each answer decides what is computed next: whether all is finite, and the conditional covariance.
    std::uint64_t before = 0;
    for (const char* directions : {"1", "3"}) {
      const DeviceCase one{"bayes", {"--flow.preset", "bayes", "--flow.data_steps", directions}};
      const std::uint64_t syncs = measured(one, "", half, kNever).syncs;
      EXPECT_LE(syncs, 2u) << one.name << (half ? ", bf16:" : ":") << waits_of_last_run();
      if (before > 0) {
        EXPECT_EQ(syncs, before) << "of the data directions";
      }
      before = syncs;
    }
  }
}

}  // namespace
}  // namespace dwgf::test
