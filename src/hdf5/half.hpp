/// IEEE 754 half precision, by its bits.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace dwgf {

/// To nearest, ties to even, in one rounding from double; overflow to infinity; any NaN becomes the quiet
/// one.
inline std::uint16_t half_from_double(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 48 & 0x8000);
  const int exponent = static_cast<int>(bits >> 52 & 0x7FF) - 1023;
  const std::uint64_t fraction = bits & 0xFFFFFFFFFFFFFull;
  if (exponent == 1024) return sign | (fraction ? 0x7E00 : 0x7C00);
  if (exponent > 15) return sign | 0x7C00;
  if (exponent < -25) return sign;  // less than half of the least subnormal

  // 53 bits become 11, or fewer where the half is subnormal (exponent below -14).
  const bool normal = exponent >= -14;
  const std::uint64_t significand = fraction | 1ull << 52;
  const int shift = normal ? 42 : 42 - 14 - exponent;
  const std::uint64_t rest = significand & ((1ull << shift) - 1);
  const std::uint64_t tie = 1ull << (shift - 1);
  std::uint64_t half = significand >> shift;
  if (normal) half += static_cast<std::uint64_t>(exponent + 14) << 10;  // the leading bit adds the last 1
  if (rest > tie || (rest == tie && (half & 1))) ++half;  // may carry into the exponent, and to infinity
  return sign | static_cast<std::uint16_t>(half);
}

/// Exact.
inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1F;
  const std::uint32_t fraction = half & 0x3FF;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float value = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -value : value;
}

}  // namespace dwgf
