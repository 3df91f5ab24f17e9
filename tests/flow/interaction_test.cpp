#include "flow/terms/interaction.hpp"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

namespace dwgf {
namespace {

/// The particles of this rank at positions [N, d] of the whole ensemble, as latents [1, 1, d].
FlowState state_at(const at::Tensor& positions, std::int64_t micro_batch, const Communicator& world) {
  const std::int64_t n = positions.size(0), d = positions.size(1);
  FlowState state = initial_state(share_particles(n, micro_batch, world.rank(), world.size()), {1, 1, d}, 1,
                                  2, at::TensorOptions(at::kDouble));
  for (ParticleBatch& batch : state.batches) {
    batch.z.slice(0, 0, batch.counted)
        .copy_(positions.slice(0, batch.first, batch.first + batch.counted).view({-1, 1, 1, d}));
  }
  return state;
}

at::Tensor waves(std::int64_t n, std::int64_t d) {
  return (0.37 * at::arange(n * d, at::kDouble).square().fmod(1009.0)).sin().reshape({n, d}) * 1.5;
}

class Interactions : public ::testing::Test {
 protected:
  Interactions() { at::set_num_threads(1); }

  /// Checks G of every particle of this rank against `expected(z_t [d], index)`, and the neighbours against
  /// `neighbours`.
  template <class Expected>
  void check(InteractionKind kind, const at::Tensor& positions, std::int64_t micro_batch, std::int64_t time,
             const Expected& expected, CovarianceKind covariance = CovarianceKind::diagonal,
             bool in_place = false) {
    const FlowState state = state_at(positions, micro_batch, world);
    const auto interaction = make_interaction({kind, covariance, 0.8}, world);
    interaction->begin(state);
    interaction->finish(state);
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      const at::Tensor& z = state.batches[b].z;
      const NoisedBatch noised =
          in_place ? NoisedBatch{z, at::zeros_like(z), 1.0, 0.0}
                   : add_noise(state.batches[b], schedule.level(time), {1, 2, 0, 5, Purpose::noising});
      const InteractionScore found = interaction->score(state, b, noised);
      // Of very many particles, some are enough to compare.
      const std::int64_t stride = positions.size(0) > 1000 ? 37 : 1;
      for (std::int64_t i = 0; i < state.batches[b].counted; i += stride) {
        const auto [score, neighbours] = expected(noised.z_t[i].reshape({-1}), noised.eps[i].reshape({-1}),
                                                  state.batches[b].first + i, noised.a, noised.s);
        EXPECT_TRUE(at::allclose(found.score[i].reshape({-1}), score, 1e-9, 1e-10))
            << state.batches[b].first + i;
        EXPECT_NEAR(found.neighbours[i].item<double>(), neighbours, 1e-9 * neighbours);
      }
    }
  }

  /// The score of the noised mixture and 1 / sum w^2, entry by entry.
  static auto mixture_of(const at::Tensor& positions) {
    return [positions](const at::Tensor& z_t, const at::Tensor&, std::int64_t, double a, double s) {
      const at::Tensor gap = z_t - a * positions;  // [N, d]
      const at::Tensor w = at::softmax(gap.square().sum(1) * (-0.5 / (s * s)), 0);
      return std::pair((w.unsqueeze(1) * gap).sum(0) * (-1.0 / (s * s)),
                       1.0 / w.square().sum().item<double>());
    };
  }

  Communicator world = Communicator::world();
  DdpmSchedule schedule{DdpmScheduleConfig{}};
};

TEST_F(Interactions, MixtureIsTheScoreOfTheNoisedParticles) {
  for (const std::int64_t time : {2, 300, 999}) {
    const at::Tensor positions = waves(7, 3);
    check(InteractionKind::mixture, positions, 2, time, mixture_of(positions));
  }
}

TEST_F(Interactions, MixtureIsExactForThousandsOfParticles) {
  const at::Tensor positions = waves(4096, 3);
  check(InteractionKind::mixture, positions, 256, 200, mixture_of(positions));
}

TEST_F(Interactions, MixtureIsExactWhereDistancesAreMadeInBlocks) {
  // 2 x 9 x 262144 differences are more than one block's 2^22.
  const at::Tensor positions = 0.01 * waves(9, 262144);
  check(InteractionKind::mixture, positions, 2, 990, mixture_of(positions));
}

TEST_F(Interactions, GaussianIsTheScoreOfTheNoisedMoments) {
  const at::Tensor positions = waves(9, 4), mean = positions.mean(0), variance = positions.var(0, true);
  check(InteractionKind::gaussian, positions, 2, 400,
        [&](const at::Tensor& z_t, const at::Tensor&, std::int64_t, double a, double s) {
          return std::pair((a * mean - z_t) / (a * a * variance + s * s), 9.0);
        });
}

TEST_F(Interactions, GaussianWithFullCovarianceIsTheScoreOfTheNoisedMoments) {
  for (const std::int64_t n : {9, 3}) {
    const at::Tensor positions = waves(n, 4), mean = positions.mean(0), covariance = at::cov(positions.t());
    check(
        InteractionKind::gaussian, positions, 2, 400,
        [&](const at::Tensor& z_t, const at::Tensor&, std::int64_t, double a, double s) {
          const at::Tensor noised = a * a * covariance + s * s * at::eye(4, at::kDouble);
          return std::pair(at::mv(at::linalg_inv(noised), a * mean - z_t), static_cast<double>(n));
        },
        CovarianceKind::full);
  }
}

TEST_F(Interactions, GaussianInPlaceIsTheScoreOfTheMoments) {
  const at::Tensor positions = waves(9, 4), mean = positions.mean(0);
  const at::Tensor precision = at::linalg_inv(at::cov(positions.t()));
  check(
      InteractionKind::gaussian, positions, 2, 400,
      [&](const at::Tensor& z, const at::Tensor&, std::int64_t, double, double) {
        return std::pair(at::mv(precision, mean - z), 9.0);
      },
      CovarianceKind::full, true);
}

TEST_F(Interactions, RepulsionPushesAlongTheKernelsGradient) {
  const at::Tensor positions = waves(6, 4);
  const at::Tensor squared = (positions.unsqueeze(1) - positions.unsqueeze(0)).square().sum(2);
  const at::Tensor off = squared.masked_select(at::eye(6, at::kBool).logical_not());
  const double h2 = at::quantile(off, 0.5).item<double>() / (2 * std::log(6.0));
  check(InteractionKind::repulsion, positions, 2, 400,
        [&](const at::Tensor&, const at::Tensor& eps, std::int64_t i, double, double s) {
          const at::Tensor k = at::softmax(squared[i] * (-0.5 / h2), 0).unsqueeze(1);
          return std::pair(eps * (-1.0 / s) + 0.8 * (k * (positions - positions[i])).sum(0) / h2, 1.0);
        });
}

TEST_F(Interactions, CoincidentParticlesAreNotPushed) {
  const at::Tensor positions = at::ones({4, 3}, at::kDouble);
  check(InteractionKind::repulsion, positions, 1, 400,
        [&](const at::Tensor&, const at::Tensor& eps, std::int64_t, double, double s) {
          return std::pair(eps * (-1.0 / s), 1.0);
        });
}

}  // namespace
}  // namespace dwgf
