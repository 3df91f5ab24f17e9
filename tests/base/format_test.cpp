// Sentences with values in them.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include <dwgf/base/format.hpp>

namespace dwgf {
namespace {

static_assert(count_places("") == 0);
static_assert(count_places("{} of {}") == 2);
static_assert(count_places("{{}} and {}") == 1);

TEST(Formatted, PutsTheValuesInTheirPlacesInOrder) {
  EXPECT_EQ(formatted("image {} of {}: '{}'", 3, std::int64_t{16}, std::string("a.png")),
            "image 3 of 16: 'a.png'");
  EXPECT_EQ(formatted("{}{}", 'x', "y"), "xy");
  EXPECT_EQ(formatted("nothing to put"), "nothing to put");
}

TEST(Formatted, WritesNumbersAsAStreamDoes) {
  EXPECT_EQ(formatted("{} {} {}", 0.1, 1.0 / 3.0, 1e30), "0.1 0.333333 1e+30");
}

TEST(Formatted, DoubledBracesStandForThemselves) {
  EXPECT_EQ(formatted("{{{}}} {{}}", 7), "{7} {}");
}

TEST(Formatted, AValueThatLooksLikeAPlaceIsLeftAlone) {
  EXPECT_EQ(formatted("'{}' and '{}'", "{}", "{{"), "'{}' and '{{'");
}

TEST(Formatted, ABraceThatStandsAloneIsNoSentence) {
  EXPECT_ANY_THROW(count_places("{ 3 }"));
  EXPECT_ANY_THROW(count_places("3 }"));
}

}  // namespace
}  // namespace dwgf
