#include "hdf5/number_type.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

std::uint16_t half_bits(double value) {
  const auto bytes = to_bytes(std::span<const double>(&value, 1), NumberType::float16);
  std::uint16_t bits;
  std::memcpy(&bits, bytes.data(), 2);
  return bits;
}

// The value of a half from the definition, not from its bits' places in a float.
double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? nan_value : sign * infinity;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

TEST(NumberType, Names) {
  EXPECT_EQ(name_of(NumberType::uint8), "uint8");
  EXPECT_EQ(name_of(NumberType::float16), "float16");
  EXPECT_EQ(size_of(NumberType::uint8), 1u);
  EXPECT_EQ(size_of(NumberType::float16), 2u);
  EXPECT_EQ(size_of(NumberType::float64), 8u);
}

TEST(NumberType, EveryHalfReadsAsItsValueAndGoesBack) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = from_bytes(std::as_bytes(std::span(&half, 1)), NumberType::float16)[0];
    const double expected = half_value(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(half_value(half_bits(value))));
    } else {
      ASSERT_EQ(value, expected);
      ASSERT_EQ(std::signbit(value), std::signbit(expected));
      ASSERT_EQ(half_bits(value), half);
    }
  }
}

TEST(NumberType, HalvesRoundToNearestTiesToEven) {
  // Between every two neighbours, the tie goes to the even one, and one step of a double decides otherwise.
  for (std::uint16_t low = 0; low < 0x7BFF; ++low) {
    const double middle = (half_value(low) + half_value(low + 1)) / 2;
    ASSERT_EQ(half_bits(middle), low % 2 ? low + 1 : low);
    ASSERT_EQ(half_bits(std::nextafter(middle, 0)), low);
    ASSERT_EQ(half_bits(std::nextafter(middle, infinity)), low + 1);
    ASSERT_EQ(half_bits(-std::nextafter(middle, 0)), low | 0x8000);
  }
}

TEST(NumberType, HalvesAtTheEnds) {
  EXPECT_EQ(half_bits(65504), 0x7BFF);
  EXPECT_EQ(half_bits(std::nextafter(65520.0, 0)), 0x7BFF);
  EXPECT_EQ(half_bits(65520), 0x7C00);
  EXPECT_EQ(half_bits(1e300), 0x7C00);
  EXPECT_EQ(half_bits(infinity), 0x7C00);
  EXPECT_EQ(half_bits(-infinity), 0xFC00);
  EXPECT_EQ(half_bits(nan_value) & 0x7C00, 0x7C00);
  EXPECT_NE(half_bits(nan_value) & 0x03FF, 0);
  EXPECT_EQ(half_bits(-0.0), 0x8000);
  EXPECT_EQ(half_bits(0x1p-25), 0);  // a tie with zero
  EXPECT_EQ(half_bits(std::nextafter(0x1p-25, 1)), 1);
  EXPECT_EQ(half_bits(5e-324), 0);
  EXPECT_EQ(half_bits(1.0), 0x3C00);
}

TEST(NumberType, DoublesAreRoundedToHalvesOnce) {
  // 1 + 2^-11 + 2^-40 is above the tie, but rounded to float first it would be the tie, and then go down.
  EXPECT_EQ(half_bits(1.0 + 0x1p-11 + 0x1p-40), 0x3C01);
}

TEST(NumberType, PixelsAreRoundedAndClipped) {
  const std::vector<double> values{-1,
                                   1,
                                   0,
                                   -2,
                                   2,
                                   nan_value,
                                   infinity,
                                   -infinity,
                                   -1 + 0.49 / 127.5,
                                   -1 + 0.51 / 127.5,
                                   126.5 / 127.5 - 1};
  const std::vector<int> expected{0, 255, 128, 0, 255, 0, 255, 0, 0, 1, 126};
  const auto bytes = to_bytes(values, NumberType::uint8);
  ASSERT_EQ(bytes.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k)
    EXPECT_EQ(std::to_integer<int>(bytes[k]), expected[k]) << values[k];
}

TEST(NumberType, EveryLevelGoesBackAndForth) {
  std::vector<std::byte> levels;
  for (int level = 0; level < 256; ++level) levels.push_back(static_cast<std::byte>(level));
  EXPECT_EQ(to_bytes(from_bytes(levels, NumberType::uint8), NumberType::uint8), levels);
}

TEST(NumberType, FloatsAndDoublesKeepTheirBits) {
  const std::vector<float> floats{0.1f, -3e38f, 1e-45f, std::numeric_limits<float>::infinity()};
  const auto bytes = to_bytes(floats, NumberType::float32);
  EXPECT_EQ(std::memcmp(bytes.data(), floats.data(), 16), 0);
  EXPECT_EQ(from_bytes(bytes, NumberType::float32), floats);
  EXPECT_EQ(from_bytes(to_bytes(floats, NumberType::float64), NumberType::float64), floats);
  const std::vector<double> doubles{0.1, 1e300};
  const auto wide = to_bytes(doubles, NumberType::float64);
  EXPECT_EQ(std::memcmp(wide.data(), doubles.data(), 16), 0);
}

TEST(NumberType, MisuseIsRefused) {
  EXPECT_THROW(to_bytes(std::vector<float>{1}, NumberType::none), InternalError);
  EXPECT_THROW(from_bytes({}, NumberType::none), InternalError);
  EXPECT_THROW(from_bytes(std::vector<std::byte>(3), NumberType::float16), InternalError);
}

}  // namespace
}  // namespace dwgf
