#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/comm/grid.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/fixed_point.hpp>

namespace dwgf {
namespace {

/// Deterministic values [particles, elements].
at::Tensor values(std::int64_t particles, std::int64_t elements) {
  return at::arange(particles * elements, at::kDouble).mul(0.7).sin().mul(3.0).reshape({particles, elements});
}

TEST(EnsembleMoments, AreTheMeanAndUnbiasedVarianceAndTheSameBitsOnEverySplit) {
  Communicator world = Communicator::world();
  for (const std::int64_t particles : {1, 2, 5, 13}) {
    const at::Tensor v = values(particles, 7);
    EnsembleMoments whole(7, particles);
    whole.add(v, particles);
    SelfCollective self;
    whole.start(self);
    whole.wait();

    const ParticleShare share = share_particles(particles, 1, world.rank(), world.size());
    EnsembleMoments shared(7, particles);
    shared.add(v.slice(0, share.first_particle(), share.first_particle() + share.count()), share.count());
    shared.start(world);
    shared.wait();

    EXPECT_TRUE(at::equal(whole.mean(), shared.mean()));
    EXPECT_TRUE(at::equal(whole.variance(), shared.variance()));
    EXPECT_LT((whole.mean() - v.mean(0)).abs().max().item<double>(), 1e-12);
    if (particles == 1) {
      EXPECT_EQ(whole.variance().abs().max().item<double>(), 0.0);
    } else {
      EXPECT_LT((whole.variance() - v.var(0, true)).abs().max().item<double>(), 1e-10);
    }
    EXPECT_FALSE(shared.diverged());
  }
}

TEST(EnsembleMoments, TellEveryRankWhenOneValueIsNotFiniteOrTooLarge) {
  Communicator world = Communicator::world();
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(), 1e7, 3e3}) {
    at::Tensor v = values(1, 3);
    if (world.rank() == world.size() - 1) v[0][1] = bad;
    EnsembleMoments moments(3, world.size());
    moments.add(v, 1);
    moments.start(world);
    moments.wait();
    EXPECT_TRUE(moments.diverged()) << bad;
  }
}

TEST(EnsembleMoments, IgnorePaddedSamples) {
  at::Tensor v = values(3, 2);
  v[2].fill_(std::nan(""));
  EnsembleMoments moments(2, 2);
  moments.add(v, 2);
  SelfCollective self;
  moments.start(self);
  moments.wait();
  EXPECT_FALSE(moments.diverged());
  EXPECT_LT((moments.mean() - v.slice(0, 0, 2).mean(0)).abs().max().item<double>(), 1e-12);
}

}  // namespace
}  // namespace dwgf
