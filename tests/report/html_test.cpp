#include "report/html.hpp"

#include <gtest/gtest.h>

#include "report/picture_uri.hpp"
#include "report/svg_plot.hpp"

namespace dwgf {
namespace {

TEST(Html, EscapesWhatHasAMeaningAndReplacesWhatIsNoText) {
  EXPECT_EQ(escaped("a<b>&\"c\"'"), "a&lt;b&gt;&amp;&quot;c&quot;'");
  EXPECT_EQ(escaped("Gr\xC3\xB6\xC3\x9F"
                    "e \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "Gr\xC3\xB6\xC3\x9F"
            "e \xE2\x82\xAC \xF0\x9F\x98\x80");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(escaped("a\xFF"
                    "b"),
            "a" + bad + "b");
  EXPECT_EQ(escaped("\xC3"), bad);                      // cut
  EXPECT_EQ(escaped("\xC0\xAF"), bad + bad);            // longer than need be
  EXPECT_EQ(escaped("\xED\xA0\x80"), bad + bad + bad);  // half of a pair
  EXPECT_EQ(escaped(std::string("\x01\x00\x7F", 2)), bad + bad);
  EXPECT_EQ(escaped("a\tb\nc"), "a\tb\nc");
}

TEST(Base64, IsThatOfItsStandard) {
  const auto of = [](const std::string& text) { return base64(std::as_bytes(std::span(text))); };
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foo"), "Zm9v");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(of("\xFB\xFF"), "+/8=");
}

TEST(Ticks, AreRoundAndCoverTheRange) {
  for (const auto& [low, high] :
       {std::pair(0.0, 1.0), {0.0, 100.0}, {-3.7, 12.2}, {1e-5, 2e-5}, {1e6, 3e6}, {5.0, 5.0}, {0.0, 0.0}}) {
    const std::vector<double> at = ticks(low, high, 5);
    ASSERT_GE(at.size(), 2u);
    EXPECT_LE(at.size(), 12u);
    EXPECT_LE(at.front(), low + 1e-12);
    EXPECT_GE(at.back(), high - 1e-12);
  }
  EXPECT_EQ(ticks(0, 100, 6), (std::vector<double>{0, 20, 40, 60, 80, 100}));
}

TEST(SvgPlot, LeavesOutWhatIsNotFiniteAndIsEmptyWithoutAPoint) {
  Plot plot{.title = "t", .description = "d", .x_label = "x", .y_label = "y"};
  plot.series = {{"", {{0, NAN}, {1, INFINITY}}}};
  EXPECT_EQ(svg_of(plot), "");
  plot.series[0].points.push_back({2, 3});
  plot.series[0].points.push_back({3, NAN});
  const std::string svg = svg_of(plot);
  EXPECT_NE(svg, "");
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace dwgf
