#include "posterior/across_particles.hpp"

#include <algorithm>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/comm/grid.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kPixels = 23;

at::Tensor particles(std::int64_t count) {
  return at::arange(count * kPixels, at::kDouble).mul(0.37).sin().to(at::kFloat).view({count, kPixels});
}

/// What this rank holds of them, padded by what must not be looked at.
at::Tensor own_slots(const at::Tensor& all, const ParticleShare& share) {
  at::Tensor own = at::full({share.batches_per_rank * share.micro_batch, kPixels}, NAN, at::kFloat);
  own.slice(0, 0, share.count())
      .copy_(all.slice(0, share.first_particle(), share.first_particle() + share.count()));
  return own;
}

// Exact whatever the layout: the pixel, its particles one by one, in order, and its median.
TEST(AcrossParticles, EveryPixelSeesAllItsParticlesInOrderOnEveryLayoutOfRanksSameBits) {
  Communicator world = Communicator::world();
  for (const auto& [count, micro_batch] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {5, 1}, {7, 3}, {16, 4}}) {
    const at::Tensor all = particles(count);
    const ParticleShare share = share_particles(count, micro_batch, world.rank(), world.size());
    for (const std::int64_t at_once : {1, 40, 1 << 20}) {
      const at::Tensor reduced = reduce_across_particles(
          own_slots(all, share), share, world, count + 2,
          [&](std::span<float> values, std::int64_t pixel, std::span<double> out) {
            ASSERT_EQ(values.size(), static_cast<std::size_t>(count));
            std::copy(values.begin(), values.end(), out.begin());
            std::sort(values.begin(), values.end());
            out[values.size()] = values[values.size() / 2];
            out[values.size() + 1] = static_cast<double>(pixel);
          },
          at_once);
      EXPECT_TRUE(at::equal(reduced.slice(0, 0, count), all.to(at::kDouble)))
          << count << " at once " << at_once;
      const at::Tensor middle = std::get<0>(all.sort(0))[count / 2].to(at::kDouble);
      EXPECT_TRUE(at::equal(reduced[count], middle));
      EXPECT_TRUE(at::equal(reduced[count + 1], at::arange(kPixels, at::kDouble)));
    }
  }
}

}  // namespace
}  // namespace dwgf
