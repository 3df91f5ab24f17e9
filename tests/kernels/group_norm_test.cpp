// Group normalisation with its activation against its definition in float64, and its vector-Jacobian product
// against finite differences of that definition.
#include <gtest/gtest.h>

#include "arrays.hpp"

namespace dwgf::test {
namespace {

struct Case {
  std::int64_t samples, positions, channels, groups;
};

const Case kCases[] = {
    {2, 7, 6, 3},       // odd everywhere
    {1, 1, 8, 4},       // a single position
    {3, 13, 5, 1},      // one group
    {2, 31, 1, 1},      // one channel
    {1, 50, 16, 16},    // a group a channel
    {2, 4097, 32, 8},   // packs of channels, a part of one position more
    {1, 1000, 40, 20},  // groups that end inside a pack
    {1, 9, 2560, 32},   // more packs of float32 than threads
    {1, 3, 4095, 5},    // and of single channels
    {1, 70001, 3, 3},   // the most parts
    {5, 300, 24, 12},
};

double silu_of(double u) {
  return u / (1.0 + std::exp(-u));
}

/// Mean and 1 / sqrt(variance + eps), [samples, groups] each.
struct Statistics {
  Statistics(const Case& one, const Doubles& x, double eps) {
    const std::int64_t width = one.channels / one.groups;
    const double count = static_cast<double>(one.positions * width);
    for (std::int64_t b = 0; b < one.samples; ++b) {
      for (std::int64_t g = 0; g < one.groups; ++g) {
        double sum = 0.0, squares = 0.0;
        const auto each = [&](const auto& f) {
          for (std::int64_t p = 0; p < one.positions; ++p)
            for (std::int64_t c = g * width; c < (g + 1) * width; ++c)
              f(x[static_cast<std::size_t>((b * one.positions + p) * one.channels + c)]);
        };
        each([&](double value) { sum += value; });
        each([&](double value) { squares += (value - sum / count) * (value - sum / count); });
        mean.push_back(sum / count);
        rate.push_back(1.0 / std::sqrt(squares / count + eps));
      }
    }
  }
  Doubles mean, rate;
};

Doubles normed(const Case& one, const Doubles& x, const Doubles& weight, const Doubles& bias, double eps,
               bool activate) {
  const Statistics statistics(one, x, eps);
  Doubles y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto c = static_cast<std::int64_t>(i) % one.channels;
    const std::int64_t b = static_cast<std::int64_t>(i) / (one.positions * one.channels);
    const auto group = static_cast<std::size_t>(b * one.groups + c * one.groups / one.channels);
    const double u = (x[i] - statistics.mean[group]) * statistics.rate[group] * weight[c] + bias[c];
    y[i] = activate ? silu_of(u) : u;
  }
  return y;
}

/// J^T c by the formula that the kernels use, in float64.
Doubles product(const Case& one, const Doubles& x, const Doubles& weight, const Doubles& bias, double eps,
                bool activate, const Doubles& cotangent) {
  const Statistics statistics(one, x, eps);
  const std::int64_t width = one.channels / one.groups;
  const double count = static_cast<double>(one.positions * width);
  Doubles gradient(x.size());
  for (std::int64_t b = 0; b < one.samples; ++b) {
    for (std::int64_t g = 0; g < one.groups; ++g) {
      const double mean = statistics.mean[static_cast<std::size_t>(b * one.groups + g)];
      const double rate = statistics.rate[static_cast<std::size_t>(b * one.groups + g)];
      const auto each = [&](const auto& f) {
        for (std::int64_t p = 0; p < one.positions; ++p) {
          for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
            const auto i = static_cast<std::size_t>((b * one.positions + p) * one.channels + c);
            const double v = (x[i] - mean) * rate, u = v * weight[c] + bias[c];
            const double sigmoid = 1.0 / (1.0 + std::exp(-u));
            const double slope = activate ? sigmoid * (1.0 + u * (1.0 - sigmoid)) : 1.0;
            f(i, v, weight[c] * slope * cotangent[i]);
          }
        }
      };
      double first = 0.0, second = 0.0;
      each([&](std::size_t, double v, double d) { first += d / count, second += d * v / count; });
      each([&](std::size_t i, double v, double d) { gradient[i] = rate * (d - first - v * second); });
    }
  }
  return gradient;
}

/// The arguments of a call, as values of T.
template <class T>
struct Arguments {
  explicit Arguments(const Case& one, double centre = 0.3)
      : x(waves<T>(size(one), 0.37, 1.2, centre)),
        offset(waves<T>(one.samples * one.channels, 0.71, 0.5)),
        more(waves<T>(size(one), 0.53)),
        weight(waves<T>(one.channels, 0.91, 0.4, 1.0)),
        bias(waves<T>(one.channels, 0.23, 0.3)),
        cotangent(waves<T>(size(one), 0.19, 0.8)) {}
  static std::int64_t size(const Case& one) { return one.samples * one.positions * one.channels; }
  Doubles x, offset, more, weight, bias, cotangent;
};

template <class T>
struct Forward {
  std::vector<T> h, y;
  std::vector<float> mean, rate;
};

constexpr double kEps = 1e-5;

struct Wanted {
  bool activate = true, adds_offset = false, adds_more = false;
  std::int64_t offset_samples = 1;
  ThreadOrder order = ThreadOrder::forwards;
};

template <class T>
Forward<T> norm(const Case& one, const Arguments<T>& with, const Wanted& wanted) {
  const NormShape shape{one.samples, one.positions, one.channels, one.groups, number_of<T>()};
  EXPECT_TRUE(norm_is_served(shape));
  const std::vector<T> x = rounded<T>(with.x), more = rounded<T>(with.more);
  const std::vector<T> weight = rounded<T>(with.weight), bias = rounded<T>(with.bias);
  const std::vector<T> offset =
      rounded<T>(Doubles(with.offset.begin(), with.offset.begin() + wanted.offset_samples * one.channels));
  std::vector<float> scratch(norm_scratch(shape));
  const auto groups = static_cast<std::size_t>(one.samples * one.groups);
  Forward<T> out{std::vector<T>(x.size()), std::vector<T>(x.size()), std::vector<float>(groups),
                 std::vector<float>(groups)};
  HostKernels(HostLauncher{wanted.order})
      .norm({.shape = shape,
             .x = x.data(),
             .offset = wanted.adds_offset ? offset.data() : nullptr,
             .offset_stride = wanted.offset_samples > 1 ? one.channels : 0,
             .more = wanted.adds_more ? more.data() : nullptr,
             .h = out.h.data(),
             .weight = weight.data(),
             .bias = bias.data(),
             .eps = kEps,
             .activate = wanted.activate,
             .y = out.y.data(),
             .mean = out.mean.data(),
             .rate = out.rate.data(),
             .scratch = scratch.data()},
            nullptr);
  return out;
}

template <class T>
std::vector<T> norm_vjp(const Case& one, const Arguments<T>& with, const Forward<T>& forward, bool activate,
                        bool adds_more, ThreadOrder order = ThreadOrder::forwards) {
  const NormShape shape{one.samples, one.positions, one.channels, one.groups, number_of<T>()};
  const std::vector<T> x = rounded<T>(with.x), more = rounded<T>(with.more);
  const std::vector<T> weight = rounded<T>(with.weight), bias = rounded<T>(with.bias);
  std::vector<T> cotangent = rounded<T>(with.cotangent);  // overwritten by the gradient
  std::vector<float> scratch(norm_scratch(shape));
  HostKernels(HostLauncher{order})
      .norm_vjp({.shape = shape,
                 .cotangent = cotangent.data(),
                 .x = x.data(),
                 .mean = forward.mean.data(),
                 .rate = forward.rate.data(),
                 .weight = weight.data(),
                 .bias = bias.data(),
                 .more = adds_more ? more.data() : nullptr,
                 .activate = activate,
                 .gradient = cotangent.data(),
                 .scratch = scratch.data()},
                nullptr);
  return cotangent;
}

std::string text(const Case& one) {
  return std::to_string(one.samples) + " x " + std::to_string(one.positions) + " x " +
         std::to_string(one.channels) + " in " + std::to_string(one.groups) + " groups";
}

template <class T>
struct GroupNormKernels : ::testing::Test {};
using Numbers = ::testing::Types<float, Half, Brain>;
TYPED_TEST_SUITE(GroupNormKernels, Numbers);

TYPED_TEST(GroupNormKernels, AreTheDefinitionInFloat64) {
  for (const Case& one : kCases) {
    const Arguments<TypeParam> with(one);
    for (const bool activate : {false, true}) {
      const auto found = norm<TypeParam>(one, with, {.activate = activate});
      const Doubles expected = normed(one, with.x, with.weight, with.bias, kEps, activate);
      EXPECT_LE(excess<TypeParam>(doubles(found.y), expected), 1.0) << text(one);
      const Statistics statistics(one, with.x, kEps);
      EXPECT_LE(excess<float>(doubles(found.mean), statistics.mean, largest(with.x)), 1.0) << text(one);
      EXPECT_LE(excess<float>(doubles(found.rate), statistics.rate), 1.0) << text(one);
    }
  }
}

TYPED_TEST(GroupNormKernels, AddWhatIsToBeAddedFirst) {
  for (const Case& one : kCases) {
    const Arguments<TypeParam> with(one);
    for (const Wanted& wanted :
         {Wanted{.adds_offset = true}, Wanted{.adds_more = true},
          Wanted{.adds_offset = true, .adds_more = true, .offset_samples = one.samples}}) {
      const auto found = norm<TypeParam>(one, with, wanted);
      Doubles sum(with.x.size());
      for (std::size_t i = 0; i < sum.size(); ++i) {
        const auto sample = static_cast<std::int64_t>(i) / (one.positions * one.channels);
        const std::int64_t row = wanted.offset_samples > 1 ? sample : 0;
        const auto at =
            static_cast<std::size_t>(row * one.channels + static_cast<std::int64_t>(i) % one.channels);
        sum[i] = with.x[i] + (wanted.adds_offset ? with.offset[at] : 0.0) +
                 (wanted.adds_more ? with.more[i] : 0.0);
      }
      EXPECT_LE(excess<TypeParam>(doubles(found.h), sum), 1.0) << text(one);
      const Doubles expected = normed(one, doubles(found.h), with.weight, with.bias, kEps, true);
      EXPECT_LE(excess<TypeParam>(doubles(found.y), expected), 1.0) << text(one);
    }
  }
}

TYPED_TEST(GroupNormKernels, HaveTheProductThatTheFormulaHasInFloat64) {
  for (const Case& one : kCases) {
    const Arguments<TypeParam> with(one);
    for (const bool activate : {false, true}) {
      const auto forward = norm<TypeParam>(one, with, {.activate = activate});
      Doubles expected = product(one, with.x, with.weight, with.bias, kEps, activate, with.cotangent);
      for (const bool adds_more : {false, true}) {
        if (adds_more)
          for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += with.more[i];
        const auto found = norm_vjp<TypeParam>(one, with, forward, activate, adds_more);
        const double terms = largest(doubles(forward.rate)) * largest(with.weight) * largest(with.cotangent);
        EXPECT_LE(excess<TypeParam>(doubles(found), expected, std::max(terms, largest(expected))), 1.0)
            << text(one) << (adds_more ? ", more" : "");
      }
    }
  }
}

TEST(GroupNormProduct, IsThatOfFiniteDifferences) {
  for (const Case& one : {Case{2, 7, 6, 3}, Case{1, 1, 8, 4}, Case{2, 5, 5, 1}, Case{2, 31, 1, 1}}) {
    const Arguments<float> with(one);
    for (const bool activate : {false, true}) {
      const Doubles gradient = product(one, with.x, with.weight, with.bias, kEps, activate, with.cotangent);
      for (std::size_t j = 0; j < with.x.size(); ++j) {
        const double step = 1e-5;
        Doubles up = with.x, down = with.x;
        up[j] += step;
        down[j] -= step;
        const Doubles above = normed(one, up, with.weight, with.bias, kEps, activate);
        const Doubles below = normed(one, down, with.weight, with.bias, kEps, activate);
        double difference = 0.0;
        for (std::size_t i = 0; i < above.size(); ++i)
          difference += with.cotangent[i] * (above[i] - below[i]) / (2.0 * step);
        EXPECT_NEAR(gradient[j], difference, 1e-7 * (1.0 + largest(gradient))) << text(one);
      }
    }
  }
}

TYPED_TEST(GroupNormKernels, DoNotDependOnTheOrderOfThreads) {
  for (const Case& one : kCases) {
    const Arguments<TypeParam> with(one);
    const auto bits = [&](ThreadOrder order) {
      const auto forward = norm<TypeParam>(
          one, with, {.adds_offset = true, .adds_more = true, .offset_samples = 1, .order = order});
      Doubles all = doubles(forward.y);
      for (const double value : doubles(norm_vjp<TypeParam>(one, with, forward, true, true, order)))
        all.push_back(value);
      return all;
    };
    EXPECT_EQ(bits(ThreadOrder::forwards), bits(ThreadOrder::backwards)) << text(one);
  }
}

TYPED_TEST(GroupNormKernels, KeepTheirDigitsBesideALargeMean) {
  const Case one{1, 2000, 16, 4};
  const Arguments<TypeParam> with(one, 20.0);
  const auto found = norm<TypeParam>(one, with, {.activate = false});
  const Statistics statistics(one, with.x, kEps);
  EXPECT_LE(excess<float>(doubles(found.rate), statistics.rate), 1.0);
  const Doubles expected = normed(one, with.x, with.weight, with.bias, kEps, false);
  // The mean itself is a float32.
  EXPECT_LE(excess<TypeParam>(doubles(found.y), expected), 1.0 + 20.0 / 1.2);
}

TEST(GroupNormKernels, TakeArraysThatNoPackFits) {
  const Case one{2, 33, 16, 4};
  const Arguments<Brain> with(one);
  const NormShape shape{one.samples, one.positions, one.channels, one.groups, KernelNumber::bfloat16};
  const auto moved = [](const Doubles& values) {
    std::vector<Brain> out = rounded<Brain>(values);
    out.insert(out.begin(), Brain{0});
    return out;
  };
  std::vector<Brain> x = moved(with.x);
  const std::vector<Brain> weight = rounded<Brain>(with.weight), bias = rounded<Brain>(with.bias);
  std::vector<float> scratch(norm_scratch(shape)), mean(8), rate(8);
  HostKernels().norm({.shape = shape,
                      .x = x.data() + 1,
                      .weight = weight.data(),
                      .bias = bias.data(),
                      .eps = kEps,
                      .activate = true,
                      .y = x.data() + 1,
                      .mean = mean.data(),
                      .rate = rate.data(),
                      .scratch = scratch.data()},
                     nullptr);
  x.erase(x.begin());
  EXPECT_LE(excess<Brain>(doubles(x), normed(one, with.x, with.weight, with.bias, kEps, true)), 1.0);
}

TEST(GroupNormKernels, SayWhatTheyDoNotServe) {
  EXPECT_TRUE(norm_is_served({1, 1, 4096, 512}));
  EXPECT_FALSE(norm_is_served({1, 1, 8192, 32}));
  EXPECT_FALSE(norm_is_served({1, 1, 1024, 1024}));
  EXPECT_FALSE(norm_is_served({1, 1, 10, 3}));
  EXPECT_FALSE(norm_is_served({0, 1, 32, 32}));
  EXPECT_FALSE(norm_is_served({1, 0, 32, 32}));
}

}  // namespace
}  // namespace dwgf::test
