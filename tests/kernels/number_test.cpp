#include <gtest/gtest.h>

#include "arrays.hpp"

namespace dwgf::test {
namespace {

template <class T>
T narrowed(double value) {
  T out;
  narrow(static_cast<float>(value), out);
  return out;
}

template <class T>
struct HalfNumbers : ::testing::Test {};
using HalfTypes = ::testing::Types<Half, Brain>;
TYPED_TEST_SUITE(HalfNumbers, HalfTypes);

TYPED_TEST(HalfNumbers, AreTheSameThereAndBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const TypeParam value{static_cast<std::uint16_t>(bits)};
    const TypeParam again = narrowed<TypeParam>(static_cast<double>(wide(value)));
    if (std::isnan(wide(value))) {
      EXPECT_TRUE(std::isnan(wide(again))) << bits;
    } else {
      EXPECT_EQ(again.bits, value.bits);
    }
  }
}

TYPED_TEST(HalfNumbers, AreTheNearestWithTiesToEven) {
  for (std::uint16_t bits = 0;; ++bits) {
    const double low = static_cast<double>(wide(TypeParam{bits}));
    const double high = static_cast<double>(wide(TypeParam{static_cast<std::uint16_t>(bits + 1)}));
    if (!std::isfinite(high)) break;
    EXPECT_LT(low, high);
    EXPECT_DOUBLE_EQ(high - low, spacing<TypeParam>(low));
    const double middle = (low + high) / 2;
    const std::uint16_t even = bits % 2 == 0 ? bits : bits + 1;
    for (const std::uint16_t sign : {0, 0x8000}) {
      const double factor = sign ? -1.0 : 1.0;
      EXPECT_EQ(narrowed<TypeParam>(factor * middle).bits, sign | even);
      EXPECT_EQ(narrowed<TypeParam>(factor * (low + 0.499 * (high - low))).bits, sign | bits);
      EXPECT_EQ(narrowed<TypeParam>(factor * (low + 0.501 * (high - low))).bits, sign | (bits + 1));
    }
  }
}

TEST(Half, IsInfiniteFromHalfAUnitAboveItsLargest) {
  EXPECT_EQ(wide(narrowed<Half>(65519.0)), 65504.0F);
  EXPECT_TRUE(std::isinf(wide(narrowed<Half>(65520.0))));
  EXPECT_TRUE(std::isinf(wide(narrowed<Half>(-1e30))));
  EXPECT_TRUE(std::isnan(wide(narrowed<Half>(NAN))));
}

}  // namespace
}  // namespace dwgf::test
