#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/monitor.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kParticles = 5;

/// The ensemble at a step: [N, 1, 2, 3], moving.
at::Tensor positions(std::int64_t step) {
  return (at::arange(kParticles * 6, at::kDouble) * 0.7 + 0.1 * static_cast<double>(step))
      .sin()
      .view({kParticles, 1, 2, 3});
}

class MonitorTest : public ::testing::Test {
 protected:
  /// Runs a monitor over steps of an ensemble whose misfit is `misfit(step)`; returns the step after which it
  /// stalled.
  template <class Misfit>
  std::int64_t drive(Monitor& monitor, std::int64_t steps, const Misfit& misfit) {
    FlowState state = initial_state(share_particles(kParticles, 2, world.rank(), world.size()), {1, 2, 3}, 1,
                                    2, at::TensorOptions(at::kDouble));
    for (; state.step < steps && !monitor.stalled(); ++state.step) {
      for (ParticleBatch& batch : state.batches) {
        batch.z.slice(0, 0, batch.counted)
            .copy_(positions(state.step).slice(0, batch.first, batch.first + batch.counted));
        if (!monitor.wants(state.step)) continue;
        const at::Tensor one = at::ones({2}, at::kDouble);
        monitor.observe({{"misfit", misfit(state.step) * one},
                         {"data_gradient", 3 * at::ones_like(batch.z)},
                         {"prior_gradient", 4 * at::ones_like(batch.z)},
                         {"neighbours", 2 * one}},
                        3 + batch.first);
      }
      monitor.finish_step(state);
    }
    return state.step;
  }

  FlowOptions options_with(double stall, std::int64_t record_every = 1) const {
    FlowOptions options;
    options.particles = kParticles;
    options.micro_batch = 2;
    options.stall = stall;
    options.record_every = record_every;
    return options;
  }

  Communicator world = Communicator::world();
};

TEST_F(MonitorTest, RecordsTheEnsembleAsItWasAtEachRecordedStep) {
  Monitor monitor(options_with(0.0, 3), 8, world);
  drive(monitor, 8, [](std::int64_t step) { return 1.0 + static_cast<double>(step); });
  const Diagnostics diagnostics = monitor.finish();
  const std::vector<std::int64_t> recorded = recorded_steps(8, 3);
  ASSERT_EQ(diagnostics.named("misfit").size(), recorded.size());
  for (std::size_t k = 0; k < recorded.size(); ++k) {
    const at::Tensor z = positions(recorded[k]);
    EXPECT_DOUBLE_EQ(diagnostics.named("misfit")[k], 1.0 + static_cast<double>(recorded[k]));
    EXPECT_NEAR(diagnostics.named("ensemble_mean")[k], std::sqrt(z.mean(0).square().mean().item<double>()),
                1e-10);
    EXPECT_NEAR(diagnostics.named("ensemble_spread")[k], std::sqrt(z.var(0, true).mean().item<double>()),
                1e-10);
    EXPECT_NEAR(diagnostics.named("data_gradient")[k], 3.0, 1e-12);
    EXPECT_NEAR(diagnostics.named("prior_gradient")[k], 4.0, 1e-12);
    EXPECT_NEAR(diagnostics.named("neighbours")[k], 2.0, 1e-12);
    double redone = 0.0;  // of the micro-batch of 2 that a particle is in
    for (std::int64_t particle = 0; particle < kParticles; ++particle)
      redone += static_cast<double>(3 + particle / 2 * 2);
    EXPECT_NEAR(diagnostics.named("redone")[k], redone / kParticles, 1e-12);
  }
}

TEST_F(MonitorTest, StallsWhereTheMisfitStopsFallingOnAllRanksAlike) {
  // Halves every step until step 15, and is constant from there: the last 10 records are below 0.99 of the 10
  // before until both are flat.
  const auto falls_then_rests = [](std::int64_t step) {
    return std::pow(0.5, std::min<double>(static_cast<double>(step), 15.0));
  };
  Monitor monitor(options_with(0.01), 100, world);
  const std::int64_t stopped = drive(monitor, 100, falls_then_rests);
  // A record is complete one step later: steps 15 ... 34 are recorded before the step after number 35.
  EXPECT_GE(stopped, 34);
  EXPECT_LE(stopped, 36);
  EXPECT_EQ(monitor.finish().records(), static_cast<std::size_t>(stopped));

  Monitor patient(options_with(0.0), 100, world);
  EXPECT_EQ(drive(patient, 100, falls_then_rests), 100);
  Monitor falling(options_with(0.01), 100, world);
  EXPECT_EQ(drive(falling, 100, [](std::int64_t step) { return std::exp(-0.1 * static_cast<double>(step)); }),
            100);
}

TEST_F(MonitorTest, SaysNotANumberWhereTheEnsembleIsTooWideForFixedPoint) {
  Monitor monitor(options_with(0.0), 1, world);
  FlowState state = initial_state(share_particles(kParticles, 2, world.rank(), world.size()), {1, 2, 3}, 1, 2,
                                  at::TensorOptions(at::kDouble));
  for (ParticleBatch& batch : state.batches) {
    batch.z.fill_(1e6);
    const at::Tensor one = at::ones({2}, at::kDouble);
    monitor.observe({{"misfit", one}}, 0);
  }
  monitor.finish_step(state);
  const Diagnostics diagnostics = monitor.finish();
  EXPECT_TRUE(std::isnan(diagnostics.named("ensemble_mean")[0]));
  EXPECT_DOUBLE_EQ(diagnostics.named("misfit")[0], 1.0);
}

}  // namespace
}  // namespace dwgf
