#include "report/truth_images.hpp"

#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

std::vector<ImageEntry> images(const std::vector<std::pair<std::uint64_t, std::string>>& entries) {
  std::vector<ImageEntry> images;
  for (const auto& [id, name] : entries) images.push_back({id, name, 8, 8});
  return images;
}

using Places = std::vector<std::int64_t>;

TEST(TruthImages, GoByIdentityThenByNameThenByOrder) {
  const auto wanted = images({{5, "b.png"}, {7, "sub/a.png"}});
  EXPECT_EQ(matched(wanted, images({{7, "x"}, {1, "y"}, {5, "z"}}), "it"), (Places{2, 0}));
  EXPECT_EQ(matched(wanted, images({{1, "sub/a.tif"}, {2, "other.tif"}, {3, "b.tif"}}), "it"),
            (Places{2, 0}));
  EXPECT_EQ(matched(wanted, images({{0, "t.npy[0]"}, {1, "t.npy[1]"}}), "it"), (Places{0, 1}));
}

TEST(TruthImages, ThatDoNotGoTogetherAreOneMessage) {
  const auto wanted = images({{5, "b.png"}, {7, "a.png"}});
  const auto refuses = [&](const std::vector<ImageEntry>& given) {
    try {
      matched(wanted, given, "it");
      return std::string();
    } catch (const DataError& error) {
      return std::string(error.what());
    }
  };
  EXPECT_NE(refuses(images({{1, "c.png"}})).find("1 images, the results have 2"), std::string::npos);
  EXPECT_FALSE(refuses({}).empty());
  // One name twice decides nothing.
  EXPECT_FALSE(refuses(images({{1, "a.png"}, {2, "a.tif"}, {3, "b.png"}})).empty());
}

}  // namespace
}  // namespace dwgf
