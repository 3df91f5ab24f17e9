#include <gtest/gtest.h>

#include <dwgf/base/random.hpp>

#include "arrays.hpp"

namespace dwgf::test {
namespace {

const DrawAddress kAddress{.seed = 0x123456789ABCDEFULL,
                           .image = 77,
                           .particle = 0xFFFFFFFE,
                           .step = 41,
                           .purpose = Purpose::decoder};

template <class T>
struct NormalKernels : ::testing::Test {};
using Numbers = ::testing::Types<float, Half, Brain>;
TYPED_TEST_SUITE(NormalKernels, Numbers);

TYPED_TEST(NormalKernels, AreTheAddressedNumbersRounded) {
  for (const std::int64_t count : {1, 3, 4, 7, 1001}) {
    for (const std::int64_t samples : {1, 5}) {
      std::vector<TypeParam> found(static_cast<std::size_t>(samples * count));
      HostKernels().normals({kAddress, samples, count, number_of<TypeParam>(), found.data()}, nullptr);
      for (std::int64_t b = 0; b < samples; ++b) {
        DrawAddress address = kAddress;
        address.particle += static_cast<std::uint32_t>(b);  // beyond the last number it begins at 0 again
        std::vector<float> expected(static_cast<std::size_t>(count));
        fill_normals(address, expected);
        for (std::int64_t e = 0; e < count; ++e) {
          TypeParam rounded_value;
          narrow(expected[static_cast<std::size_t>(e)], rounded_value);
          const auto at = static_cast<std::size_t>(b * count + e);
          const double unit =
              number_of<TypeParam>() == KernelNumber::float32 ? spacing<float>(expected[e]) : 0.0;
          EXPECT_NEAR(wide(found[at]), wide(rounded_value), unit) << e;
        }
      }
    }
  }
}

/// By the definition of flow/fixed_point.hpp.
std::vector<std::int64_t> sums_of(const Doubles& values, std::int64_t samples, double limit) {
  const std::size_t elements = values.size() / static_cast<std::size_t>(samples);
  std::vector<std::int64_t> sums(2 * elements + 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double v = values[i], square = v * v;
    if (std::abs(v) < limit) sums[i % elements] += std::llrint(v * 0x1p40);
    if (square < limit) sums[elements + i % elements] += std::llrint(square * 0x1p40);
    if (!(std::abs(v) < limit) || !(square < limit)) ++sums.back();
  }
  return sums;
}

template <class T>
struct MomentKernels : ::testing::Test {};
TYPED_TEST_SUITE(MomentKernels, Numbers);

TYPED_TEST(MomentKernels, AreTheSumsOfTheDefinition) {
  for (const std::int64_t elements : {1, 127, 128, 1000}) {
    for (const std::int64_t samples : {1, 3}) {
      for (const bool broken : {false, true}) {
        Doubles values = waves<TypeParam>(samples * elements, 0.61, 3.0);
        if (broken) {
          values.front() = NAN;
          values.back() = -INFINITY;
          values[values.size() / 2] = 300.0;  // its square alone is beyond the limit
        }
        const std::vector<TypeParam> array = rounded<TypeParam>(values);
        std::vector<std::int64_t> scratch(moment_scratch(elements));
        std::vector<std::int64_t> sums(static_cast<std::size_t>(2 * elements + 1)), twice = sums;
        for (int k = 0; k < 2; ++k) {
          HostKernels().add_moments(
              {samples, elements, number_of<TypeParam>(), array.data(), 1000.0, twice.data(), scratch.data()},
              nullptr);
          if (k == 0) sums = twice;
        }
        EXPECT_EQ(sums, sums_of(doubles(array), samples, 1000.0));
        for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(twice[i], 2 * sums[i]);
      }
    }
  }
}

TEST(MomentKernels, ComeToMeanAndVariance) {
  const std::int64_t elements = 300, particles = 7;
  Doubles values = waves<float>(particles * elements, 0.61, 3.0, 1.0);
  for (const bool broken : {false, true}) {
    if (broken) values[5] = NAN;
    const std::vector<std::int64_t> sums = sums_of(values, particles, 1e5);
    Doubles mean(elements), variance(elements), alone(elements, -1.0);
    HostKernels().moments({elements, particles, sums.data(), mean.data(), variance.data()}, nullptr);
    HostKernels().moments({elements, 1, sums.data(), nullptr, alone.data()}, nullptr);
    for (std::int64_t e = 0; e < elements; ++e) {
      const auto at = static_cast<std::size_t>(e);
      if (broken) {
        EXPECT_TRUE(std::isnan(mean[at]) && std::isnan(variance[at]));
        continue;
      }
      double sum = 0.0, squares = 0.0;
      for (std::int64_t k = 0; k < particles; ++k) sum += values[static_cast<std::size_t>(k * elements + e)];
      for (std::int64_t k = 0; k < particles; ++k)
        squares += std::pow(values[static_cast<std::size_t>(k * elements + e)] - sum / particles, 2);
      EXPECT_NEAR(mean[at], sum / particles, 1e-11);
      EXPECT_NEAR(variance[at], squares / (particles - 1), 1e-10);
      EXPECT_EQ(alone[at], 0.0);
    }
  }
}

}  // namespace
}  // namespace dwgf::test
