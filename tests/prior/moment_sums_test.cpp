// Sums of products, against the same sums in plain float64.
#include "prior/moment_sums.hpp"

#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

at::Tensor samples(std::int64_t count, std::int64_t values, std::int64_t rows, std::int64_t columns) {
  at::manual_seed(1);
  return at::randn({count, values, rows, columns}, at::kDouble) + 0.3;
}

std::vector<std::int64_t> numbers_of(const MomentSums& sums, const MomentShape& shape) {
  std::vector<std::int64_t> numbers(shape.bytes() / sizeof(std::int64_t));
  sums.write_to(numbers);
  return numbers;
}

/// Both kinds of sums.
class MomentSumsOf : public ::testing::TestWithParam<bool> {
 protected:
  MomentShape shape{2, 4, 3, GetParam() ? std::optional<std::int64_t>(2) : std::nullopt};
  at::Tensor v = samples(12, 2, 4, 3);  // [12, 2, 4, 3]
};

TEST_P(MomentSumsOf, AreExactInAnyOrderAndAnyDivision) {
  MomentSums forwards(shape, 4), backwards(shape, 4), first(shape, 4), second(shape, 4);
  for (std::int64_t k : {0, 1, 2, 3}) forwards.add(v.narrow(0, 3 * k, 3), 3);
  for (std::int64_t k : {3, 1, 0, 2}) backwards.add(v.narrow(0, 3 * k, 3), 3);
  for (std::int64_t k : {0, 2}) first.add(v.narrow(0, 3 * k, 3), 3);
  for (std::int64_t k : {3, 1}) second.add(v.narrow(0, 3 * k, 3), 3);
  EXPECT_EQ(numbers_of(forwards, shape), numbers_of(backwards, shape));
  std::vector<std::int64_t> together = numbers_of(first, shape);
  const std::vector<std::int64_t> more = numbers_of(second, shape);
  for (std::size_t k = 0; k < together.size(); ++k) together[k] += more[k];
  EXPECT_EQ(together, numbers_of(forwards, shape));
  MomentSums read(shape, 4);
  read.read_from(together);
  EXPECT_TRUE(at::equal(read.mean(), forwards.mean()));
  EXPECT_EQ(read.samples(), 12);
}

TEST_P(MomentSumsOf, LeaveOutWhatIsNotCounted) {
  at::Tensor filled = v.narrow(0, 0, 5).clone();
  filled.narrow(0, 3, 2).fill_(std::numeric_limits<double>::quiet_NaN());
  at::Tensor zeros = filled.clone();
  zeros.narrow(0, 3, 2).zero_();
  MomentSums sums(shape, 1), expected(shape, 1);
  sums.add(filled, 3);
  expected.add(zeros, 3);
  EXPECT_EQ(numbers_of(sums, shape), numbers_of(expected, shape));
  EXPECT_EQ(sums.samples(), 3);
  EXPECT_EQ(sums.out_of_range(), 0);
}

TEST_P(MomentSumsOf, CountWhatIsNotFiniteOrTooLarge) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), 1e30}) {
    at::Tensor spoilt = v.clone();
    spoilt[1][0][2][1] = bad;
    MomentSums sums(shape, 1);
    sums.add(spoilt, 12);
    EXPECT_GT(sums.out_of_range(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(BothForms, MomentSumsOf, ::testing::Bool());

TEST(MomentSums, AreTheMeanAndTheSecondMoment) {
  const MomentShape shape{2, 4, 3};
  const at::Tensor v = samples(12, 2, 4, 3), rows = v.flatten(1);
  MomentSums sums(shape, 2);
  sums.add(v.narrow(0, 0, 8), 8);
  sums.add(v.narrow(0, 8, 4), 4);
  EXPECT_TRUE(at::allclose(sums.mean(), v.mean(0), 0, 1e-9));
  EXPECT_TRUE(at::allclose(sums.second(), at::matmul(rows.t(), rows) / 12, 0, 1e-9));
}

TEST(MomentSums, OfEveryOffsetAreTheShiftAverageOfTheWhole) {
  const MomentShape whole{2, 4, 3}, shift{2, 4, 3, 3};
  const at::Tensor v = samples(6, 2, 4, 3);
  MomentSums full(whole, 1), offsets(shift, 1);
  full.add(v, 6);
  offsets.add(v, 6);
  const OffsetMoments expected = shift_average(full.second(), whole), found = offsets.offsets();
  ASSERT_EQ(found.reach(), expected.reach());
  EXPECT_TRUE(at::allclose(found.values, expected.values, 0, 1e-8));
  EXPECT_TRUE(at::allclose(offsets.mean().flatten(), v.mean(at::IntArrayRef{0, 2, 3}), 0, 1e-9));
  // One offset by hand: S(1, -1) over the places with a partner below and to the left.
  const at::Tensor from = v.narrow(2, 0, 3).narrow(3, 1, 2), to = v.narrow(2, 1, 3).narrow(3, 0, 2);
  const at::Tensor by_hand = at::einsum("bqyx,bpyx->qp", {from, to}) / (6.0 * 3 * 2);
  EXPECT_TRUE(at::allclose(found.values[3 + 1][3 - 1], by_hand, 0, 1e-8));
  EXPECT_TRUE(at::allclose(found.values[3 - 1][3 + 1], by_hand.t(), 0, 1e-8));
}

TEST(MomentSums, TakeSamplesOfSeveralSizesTogether) {
  const MomentShape shape{2, 0, 0, 1};
  const at::Tensor small = samples(3, 2, 2, 2), large = 2 * samples(5, 2, 4, 6);
  MomentSums sums(shape, 2);
  sums.add(small, 3);
  sums.add(large, 5);
  const auto at_zero = [](const at::Tensor& v) {
    return at::einsum("bqyx,bpyx->qp", {v, v}) / static_cast<double>(v.size(2) * v.size(3));
  };
  EXPECT_TRUE(at::allclose(sums.offsets().at_zero(), (at_zero(small) + at_zero(large)) / 8, 0, 1e-8));
}

}  // namespace
}  // namespace dwgf
