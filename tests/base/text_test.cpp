#include <clocale>

#include <gtest/gtest.h>

#include <dwgf/base/text.hpp>

namespace dwgf {
namespace {

TEST(NearestName, FindsOneMistakeOfEachKind) {
  const std::vector<std::string> names{"identity", "box", "random", "mean", "blur"};
  EXPECT_EQ(nearest_name("maen", names), "mean");
  EXPECT_EQ(nearest_name("men", names), "mean");
  EXPECT_EQ(nearest_name("meann", names), "mean");
  EXPECT_EQ(nearest_name("meas", names), "mean");
  EXPECT_EQ(nearest_name("Blur", names), "blur");
  EXPECT_EQ(nearest_name("radnom", names), "random");
}

TEST(NearestName, IsEmptyWhereNothingIsNear) {
  EXPECT_EQ(nearest_name("tomography", {"identity", "box", "mean"}), "");
  EXPECT_EQ(nearest_name("", {"identity", "box"}), "");
  EXPECT_EQ(nearest_name("mean", {}), "");
}

TEST(NearestName, TakesTheFirstOfEquallyNearNames) {
  EXPECT_EQ(nearest_name("bar", {"bat", "car"}), "bat");
}

TEST(ParseDouble, TakesTheWholeTextOnly) {
  EXPECT_EQ(parse_double("1.5"), 1.5);
  EXPECT_EQ(parse_double("-2e-3"), -2e-3);
  EXPECT_EQ(parse_double("0.1"), 0.1);
  for (const char* text : {"", " 1", "1 ", "1.5x", "1,5", "nan", "inf", "-inf", "1e999", "0x10", "+-1", "."})
    EXPECT_FALSE(parse_double(text)) << text;
}

TEST(ParseInt64, TakesTheWholeTextOnly) {
  EXPECT_EQ(parse_int64("42"), 42);
  EXPECT_EQ(parse_int64("-9223372036854775808"), INT64_MIN);
  for (const char* text : {"", "4.0", "4e1", " 4", "4 ", "0x4", "9223372036854775808", "four"})
    EXPECT_FALSE(parse_int64(text)) << text;
}

TEST(ParseDouble, DoesNotDependOnTheLocale) {
  const std::string before = std::setlocale(LC_NUMERIC, nullptr);
  if (!std::setlocale(LC_NUMERIC, "de_DE.UTF-8"))
    GTEST_SKIP() << "this machine has no locale with a decimal comma";
  EXPECT_EQ(parse_double("1.5"), 1.5);
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  std::setlocale(LC_NUMERIC, before.c_str());
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a,b,,c", ','), (std::vector<std::string>{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(split(",", ','), (std::vector<std::string>{"", ""}));
}

TEST(Trim, RemovesBlanksAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(trim(""), "");
}

TEST(HumanBytes, ChoosesTheUnit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(3ULL << 29), "1.5 GiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(HumanDuration, ChoosesTheUnits) {
  EXPECT_EQ(human_duration(0), "0 ms");
  EXPECT_EQ(human_duration(0.85), "850 ms");
  EXPECT_EQ(human_duration(0.9999), "1 s");
  EXPECT_EQ(human_duration(42), "42 s");
  EXPECT_EQ(human_duration(59.7), "1 min 00 s");
  EXPECT_EQ(human_duration(303), "5 min 03 s");
  EXPECT_EQ(human_duration(3599.9), "1 h 00 min");
  EXPECT_EQ(human_duration(3900), "1 h 05 min");
  EXPECT_EQ(human_duration(2 * 86400 + 3 * 3600), "2 d 03 h");
  EXPECT_EQ(human_duration(-1), "unknown");
  EXPECT_EQ(human_duration(1.0 / 0.0), "unknown");
}

}  // namespace
}  // namespace dwgf
