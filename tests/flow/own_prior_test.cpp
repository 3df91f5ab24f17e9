// A flow-matching family that is not in the table: methods restore on it as on any other, through levels
// alone.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/operators/operator.hpp>

#include "support/flow_matching.hpp"

namespace dwgf {
namespace {

constexpr double kMean = 0.4, kVariance = 0.09;

class OwnPrior : public ::testing::Test {
 protected:
  OwnPrior() {
    at::set_num_threads(1);
    const std::string file =
        (std::filesystem::temp_directory_path() / ("dwgf-" + std::to_string(::getpid()) + ".gaussian"))
            .string();
    std::ofstream(file) << "1 4 4 " << kMean << ' ' << kVariance;
    std::vector<PriorFamily> families{kGaussianFlowMatching};
    families.insert(families.end(), known_families().begin(), known_families().end());
    prior = family_of(file, families).load(file, {.dtype = at::kDouble});
    std::filesystem::remove(file);
  }

  /// Latents [N, 2, 8]: the missing upper half of the image, and the lower half, measured as -0.2.
  at::Tensor restored(const FlowOptions& options) const {
    SelfCollective self;
    const auto forward = make_operator("box:0,0,2,4", {{1, 4, 4}});
    const Problem problem{*prior, *forward, at::full({1, 4, 4}, -0.2, at::kFloat), {1, 4, 4}, 3};
    return solve(problem, options, self).state.batches[0].z.reshape({options.particles, 2, 8});
  }

  std::unique_ptr<Prior> prior;
};

TEST_F(OwnPrior, AVelocityBecomesTheNoiseThatWasAdded) {
  const at::Tensor z0 = at::full({1, 1, 4, 4}, kMean, at::kDouble);
  for (const Level& level : prior->path->levels(20)) {
    EXPECT_NEAR(level.signal + level.noise, 1.0, 1e-15);
    // At the mean of z_t the noise seen is 0; beside it, s times the distance over the variance.
    EXPECT_LT(prior->noise(level.signal * z0, level).abs().max().item<double>(), 1e-13);
    const double variance = level.signal * level.signal * kVariance + level.noise * level.noise;
    const Vjp seen = prior->noise_vjp(level.signal * z0 + 0.3, level);
    EXPECT_NEAR(seen.value.mean().item<double>(), 0.3 * level.noise / variance, 1e-12);
    EXPECT_NEAR(seen.pull(at::ones_like(z0)).mean().item<double>(), level.noise / variance, 1e-12);
  }
  EXPECT_NEAR(prior->path->levels(9, Spacing::log).back().noise, prior->path->last().noise, 1e-15);
}

TEST_F(OwnPrior, DwgfMeetsTheMeasurementAndFillsInFromThePrior) {
  FlowOptions options{.particles = 32, .grid = 400, .micro_batch = 32, .record_every = 1000, .rate = 0.05};
  options.data = {.decoder_std = 0.0, .consistency = 0.0};
  const at::Tensor z = restored(options);
  EXPECT_NEAR(z.select(1, 1).mean().item<double>(), -0.2, 0.1);
  EXPECT_NEAR(z.select(1, 0).mean().item<double>(), kMean, 0.1);
}

TEST_F(OwnPrior, LatentDpsMeetsTheMeasurementAndSamplesThePriorElsewhere) {
  FlowOptions options{.method = Method::latent_dps,
                      .particles = 1000,
                      .grid = 400,
                      .micro_batch = 1000,
                      .record_every = 1000};
  options.guidance = {.weight = 0.3, .eta = 0.0};
  const at::Tensor z = restored(options), missing = z.select(1, 0);
  EXPECT_NEAR(z.select(1, 1).mean().item<double>(), -0.2, 0.05);
  // 8000 entries: a standard error of 0.003 of the mean and of 1.6 % of the variance.
  EXPECT_NEAR(missing.mean().item<double>(), kMean, 0.03);
  EXPECT_NEAR(missing.var().item<double>() / kVariance, 1.0, 0.1);
}

}  // namespace
}  // namespace dwgf
