#include "report/worst_places.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace dwgf {
namespace {

TEST(WorstPlaces, AreTheSquaresOfLargestMeanAndDoNotOverlap) {
  at::Tensor badness = at::zeros({64, 96}, at::kFloat);
  badness.narrow(0, 16, 8).narrow(1, 40, 8).fill_(3.0);
  badness.narrow(0, 48, 16).narrow(1, 0, 16).fill_(2.0);
  badness[0][95] = std::nan("");
  const std::vector<Place> places = worst_places(badness, 16, 3);
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(places[0].top, 48);
  EXPECT_EQ(places[0].left, 0);
  EXPECT_EQ(places[0].badness, 2.0);
  EXPECT_EQ(places[1].badness, 0.75);
  EXPECT_LE(places[1].top, 16);
  EXPECT_GE(places[1].top + 16, 24);
  for (std::size_t a = 0; a < places.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      EXPECT_TRUE(std::abs(places[a].top - places[b].top) >= 16 ||
                  std::abs(places[a].left - places[b].left) >= 16);
}

TEST(WorstPlaces, AreNoMoreThanFit) {
  EXPECT_EQ(worst_places(at::ones({16, 32}), 16, 9).size(), 2u);
  const Place whole = worst_places(at::ones({16, 16}), 16, 9).front();
  EXPECT_TRUE(at::equal(part_at(at::ones({3, 16, 16}), whole), at::ones({3, 16, 16})));
}

}  // namespace
}  // namespace dwgf
