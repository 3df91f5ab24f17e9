/// Arrays of each of the numbers that kernels know, beside the same values in float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <support/host_kernels.hpp>

namespace dwgf::test {

using Doubles = std::vector<double>;

template <class T>
constexpr KernelNumber number_of();
template <>
constexpr KernelNumber number_of<float>() {
  return KernelNumber::float32;
}
template <>
constexpr KernelNumber number_of<Half>() {
  return KernelNumber::float16;
}
template <>
constexpr KernelNumber number_of<Brain>() {
  return KernelNumber::bfloat16;
}

/// Distance between numbers of T at the size of `value`.
template <class T>
double spacing(double value) {
  const KernelNumber number = number_of<T>();
  const int digits = number == KernelNumber::float32 ? 23 : number == KernelNumber::float16 ? 10 : 7;
  const int least = number == KernelNumber::float16 ? -14 : -126;
  const int exponent = value == 0.0 ? least : std::max(std::ilogb(value), least);
  return std::ldexp(1.0, exponent - digits);
}

template <class T>
std::vector<T> rounded(const Doubles& values) {
  std::vector<T> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) narrow(static_cast<float>(values[i]), out[i]);
  return out;
}

template <class T>
Doubles doubles(const std::vector<T>& values) {
  Doubles out;
  for (const T& value : values) out.push_back(static_cast<double>(wide(value)));
  return out;
}

/// Waves of no simple period about `centre`, the same on every machine, in values of T.
template <class T>
Doubles waves(std::int64_t count, double frequency, double size = 1.0, double centre = 0.0) {
  Doubles values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(centre + size * std::sin(frequency * std::fmod(static_cast<double>(i * i), 10007.0)));
  return doubles(rounded<T>(values));
}

inline double largest(const Doubles& values) {
  double most = 0.0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

/// The largest |found - expected|, in units of what rounding to T and float32's arithmetic allow: one unit of
/// rounding and 1e-6 of `scale`, the largest of the terms that were added; for float32 the latter alone.
template <class T>
double excess(const Doubles& found, const Doubles& expected, double scale) {
  double most = found.size() == expected.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    const double unit = number_of<T>() == KernelNumber::float32 ? 0.0 : spacing<T>(expected[i]);
    const double apart = std::abs(found[i] - expected[i]) / (unit + 1e-6 * scale);
    most = apart <= most ? most : apart;  // a NaN is the largest
  }
  return most;
}
template <class T>
double excess(const Doubles& found, const Doubles& expected) {
  return excess<T>(found, expected, largest(expected));
}

}  // namespace dwgf::test
