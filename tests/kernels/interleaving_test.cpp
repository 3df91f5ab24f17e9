#include <gtest/gtest.h>

#include "arrays.hpp"

namespace dwgf::test {
namespace {

struct Shape {
  std::int64_t samples, height, width, channels;
  std::int64_t coarse() const { return samples * (height + 1) * (width + 1) * 4 * channels; }
  std::int64_t fine() const { return samples * 4 * height * width * channels; }
};

template <class T>
std::vector<T> interleaved(const Shape& shape, const std::vector<T>& from, bool adjoint) {
  std::vector<T> to(static_cast<std::size_t>(adjoint ? shape.coarse() : shape.fine()));
  HostKernels().interleave({shape.samples, shape.height, shape.width, shape.channels, number_of<T>(), adjoint,
                            from.data(), to.data()},
                           nullptr);
  return to;
}

template <class T>
struct InterleavingKernels : ::testing::Test {};
using Numbers = ::testing::Types<float, Half, Brain>;
TYPED_TEST_SUITE(InterleavingKernels, Numbers);

TYPED_TEST(InterleavingKernels, AreTheDefinitionAndItsAdjoint) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, {2, 3, 5, 3}, {1, 4, 2, 16}, {2, 7, 1, 8}}) {
    const auto coarse = rounded<TypeParam>(waves<TypeParam>(shape.coarse(), 0.37));
    const auto fine = doubles(interleaved<TypeParam>(shape, coarse, false));
    const auto back = doubles(interleaved<TypeParam>(shape, rounded<TypeParam>(fine), true));
    const Doubles all = doubles(coarse);
    Doubles expected(back.size());
    for (std::int64_t s = 0; s < shape.samples; ++s)
      for (std::int64_t y = 0; y < 2 * shape.height; ++y)
        for (std::int64_t x = 0; x < 2 * shape.width; ++x)
          for (std::int64_t c = 0; c < shape.channels; ++c) {
            const std::int64_t a = y % 2, b = x % 2;
            const std::int64_t row = s * (shape.height + 1) + y / 2 + a;
            const auto at = static_cast<std::size_t>(
                ((row * (shape.width + 1) + x / 2 + b) * 4 + 2 * a + b) * shape.channels + c);
            const auto to = static_cast<std::size_t>(
                ((s * 2 * shape.height + y) * 2 * shape.width + x) * shape.channels + c);
            EXPECT_EQ(fine[to], all[at]);
            expected[at] = all[at];
          }
    EXPECT_EQ(back, expected);
  }
}

}  // namespace
}  // namespace dwgf::test
