#include "flow/draws.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

/// Addresses with small and with very large words, whose sums and products wrap.
std::vector<DrawAddress> addresses() {
  return {{0, 0, 0, 0, Purpose::init},
          {7, 3, 2, 11, Purpose::noising},
          {~std::uint64_t{0}, 0xFEDCBA9876543210, 0xFFFFFFFE, 0xFFFFFFFF, Purpose::encoder}};
}

TEST(Draws, IntegersOnADeviceAreTheHostsBits) {
  for (const DrawAddress& address : addresses()) {
    const at::Tensor words = philox_words(3, 5, address, at::kCPU);  // [3, 5, 4]
    for (std::uint32_t sample = 0; sample < 3; ++sample) {
      for (std::uint32_t block = 0; block < 5; ++block) {
        const auto expected = philox4x32(
            {block, address.step, address.particle + sample, static_cast<std::uint32_t>(address.purpose)},
            stream_key(address));
        for (int k = 0; k < 4; ++k) {
          EXPECT_EQ(words[sample][block][k].item<std::int64_t>(), static_cast<std::int64_t>(expected[k]));
        }
      }
    }
  }
}

TEST(Draws, NormalsOnADeviceAreTheHostsToTheLastPlace) {
  for (const DrawAddress& address : addresses()) {
    for (const std::int64_t width : {1, 4, 7}) {
      const at::Tensor like = at::empty({2, 3, width}, at::kFloat);
      const at::Tensor host = normals_like(like, address), device = normals_on_device(like, address);
      ASSERT_EQ(device.sizes(), host.sizes());
      const float* expected = host.data_ptr<float>();
      const at::Tensor dense = device.contiguous();
      for (std::int64_t e = 0; e < host.numel(); ++e) {
        const float place =
            std::abs(std::nextafter(expected[e], std::numeric_limits<float>::infinity()) - expected[e]);
        EXPECT_LE(std::abs(dense.data_ptr<float>()[e] - expected[e]), 1.5F * place) << e;
      }
    }
  }
  EXPECT_EQ(normals_on_device(at::empty({0, 4}, at::kFloat), {}).sizes(), at::IntArrayRef({0, 4}));
}

TEST(Draws, ASampleIsTheStreamOfItsParticleWhateverTheBatch) {
  const DrawAddress address{5, 6, 10, 3, Purpose::decoder};
  const at::Tensor batch = normals_like(at::empty({4, 9}, at::kDouble), address);
  for (std::uint32_t b = 0; b < 4; ++b) {
    DrawAddress alone = address;
    alone.particle += b;
    EXPECT_TRUE(at::equal(batch[b], normals_like(at::empty({1, 9}, at::kDouble), alone)[0]));
  }
}

}  // namespace
}  // namespace dwgf
