#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/random.hpp>

namespace dwgf {
namespace {

using Words = std::array<std::uint32_t, 4>;

/// Equal, or the next float: the last bit may differ with the C library's log, sin and cos.
void expect_within_one_ulp(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_GE(found[i], std::nextafter(expected[i], -INFINITY)) << "element " << i;
    EXPECT_LE(found[i], std::nextafter(expected[i], INFINITY)) << "element " << i;
  }
}

std::vector<float> normals(const DrawAddress& address, std::size_t count) {
  std::vector<float> values(count);
  fill_normals(address, values);
  return values;
}

std::vector<double> uniforms(const DrawAddress& address, std::size_t count) {
  std::vector<double> values(count);
  fill_uniforms(address, values);
  return values;
}

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t ones = 0xFFFFFFFF;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Hashes, GiveTheirKnownAnswers) {
  EXPECT_EQ(splitmix64(0), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(splitmix64(1), 0x910a2dec89025cc1ULL);
  EXPECT_EQ(splitmix64(~0ULL), 0xe4d971771b652c20ULL);
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(fnv1a("a/b.png"), 0xd0652b383b1f86f4ULL);
  EXPECT_EQ(fnv1a("\xC3\xBC.png"), 0x3c66d08bf3d0cd4bULL);
}

TEST(Uniforms, AreTheSpecifiedNumbersBitForBit) {
  const DrawAddress address{.seed = 5, .image = 11, .purpose = Purpose::mask};
  EXPECT_EQ(uniforms(address, 7),
            (std::vector<double>{0x1.cbc91eb000000p-4, 0x1.a5d35a1000000p-2, 0x1.045143a000000p-2,
                                 0x1.de4f668200000p-1, 0x1.f1f72c8800000p-2, 0x1.23e32db000000p-4,
                                 0x1.b1268b2000000p-4}));
  const std::vector<double> many = uniforms(address, 100003);
  EXPECT_EQ((std::vector<double>(many.end() - 3, many.end())),
            (std::vector<double>{0x1.a989b7a800000p-2, 0x1.b324bc6000000p-2, 0x1.c2c5df4000000p-2}));
}

TEST(Normals, AreTheSpecifiedNumbers) {
  expect_within_one_ulp(
      normals({.seed = 7, .image = 3, .particle = 1, .step = 2, .purpose = Purpose::noising}, 10),
      {-0x1.4ce032p-1F, 0x1.5d5f30p+1F, 0x1.991658p-1F, 0x1.335ae4p-3F, -0x1.039042p+0F, 0x1.e194a4p-3F,
       0x1.154ac0p-3F, -0x1.e58ef4p-6F, -0x1.de3dfap-1F, 0x1.19e814p-1F});
  // The largest words wrap around as in unsigned arithmetic.
  expect_within_one_ulp(
      normals({.seed = ~0ULL,
               .image = 0xd0652b383b1f86f4ULL,
               .particle = 4095,
               .step = 998,
               .purpose = Purpose::measurement},
              6),
      {-0x1.b3a67cp-1F, 0x1.869bc2p-3F, 0x1.96839ap-1F, -0x1.8f040cp-2F, -0x1.948928p+0F, -0x1.f1b624p+0F});
  const std::vector<float> many =
      normals({.seed = 5, .image = 11, .particle = 2, .step = 9, .purpose = Purpose::init}, 65539);
  expect_within_one_ulp({many.end() - 3, many.end()}, {0x1.514b48p-2F, -0x1.72e970p-2F, -0x1.6f4e1ep+0F});
}

TEST(Normals, DoNotDependOnHowManyAreDrawn) {
  const DrawAddress address{.seed = 1, .image = 2, .particle = 3, .step = 4, .purpose = Purpose::decoder};
  const std::vector<float> many = normals(address, 64);
  for (std::size_t count : {0, 1, 2, 3, 5, 63})
    EXPECT_EQ(normals(address, count),
              (std::vector<float>(many.begin(), many.begin() + static_cast<long>(count))));
}

TEST(Normals, DifferInEveryWordOfTheAddress) {
  const DrawAddress address{.seed = 1, .image = 2, .particle = 3, .step = 4, .purpose = Purpose::decoder};
  const std::vector<float> reference = normals(address, 8);
  DrawAddress seed = address, image = address, particle = address, step = address, purpose = address;
  ++seed.seed, ++image.image, ++particle.particle, ++step.step, purpose.purpose = Purpose::encoder;
  for (const DrawAddress& other : {seed, image, particle, step, purpose})
    EXPECT_NE(normals(other, 8), reference);
}

TEST(Normals, HaveTheMomentsOfAStandardNormal) {
  constexpr std::size_t count = 1 << 18;
  const std::vector<float> values = normals({.seed = 7, .image = 3, .purpose = Purpose::noising}, count);
  double moments[5] = {};
  for (const double v : values)
    for (int k = 1; k <= 4; ++k) moments[k] += std::pow(v, k) / count;
  // Five standard errors: sqrt(var(v^k) / n) with var = 1, 2, 15, 96.
  const double unit = 5 / std::sqrt(double{count});
  EXPECT_NEAR(moments[1], 0, unit);
  EXPECT_NEAR(moments[2], 1, unit * std::sqrt(2.0));
  EXPECT_NEAR(moments[3], 0, unit * std::sqrt(15.0));
  EXPECT_NEAR(moments[4], 3, unit * std::sqrt(96.0));
}

TEST(Uniforms, HaveTheMomentsOfAUniform) {
  constexpr std::size_t count = 1 << 18;
  double mean = 0, square = 0;
  for (const double v : uniforms({.seed = 7, .purpose = Purpose::mask}, count)) {
    ASSERT_GE(v, 0.0);
    ASSERT_LT(v, 1.0);
    mean += v / count, square += v * v / count;
  }
  const double unit = 5 / std::sqrt(double{count});
  EXPECT_NEAR(mean, 0.5, unit * std::sqrt(1.0 / 12));
  EXPECT_NEAR(square, 1.0 / 3, unit * std::sqrt(4.0 / 45));
}

}  // namespace
}  // namespace dwgf
