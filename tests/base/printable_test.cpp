#include "base/printable.hpp"

#include <gtest/gtest.h>

namespace dwgf {
namespace {

TEST(Printable, KeepsTextAndShowsTheBytesOfWhatIsNone) {
  const std::string text =
      "two lines\n\tGr\xC3\xB6\xC3\x9F"
      "e \xE2\x82\xAC \xF0\x9F\x98\x80";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable("flow.da\xFF"
                      "a_steps"),
            "flow.da\\xFFa_steps");
  EXPECT_EQ(printable("\x1B[31mred"), "\\x1B[31mred");
  EXPECT_EQ(printable("\xC3"), "\\xC3");                    // cut
  EXPECT_EQ(printable("\xC0\xAF"), "\\xC0\\xAF");           // longer than need be
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xED\\xA0\\x80");  // half of a pair
  EXPECT_EQ(printable("\xC2\x9B"), "\\xC2\\x9B");           // steers some terminals
  EXPECT_EQ(printable(std::string("a\0b\x7F", 4)), "a\\x00b\\x7F");
}

}  // namespace
}  // namespace dwgf
