#include <cstdint>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/geometry.hpp>

namespace dwgf {
namespace {

TEST(PriorGeometry, CanvasIsTheSmallestMultipleThatHoldsTheImage) {
  const PriorGeometry geometry{.image_channels = 3, .latent_channels = 4, .factor = 8};
  for (std::int64_t height = 1; height < 40; ++height) {
    const Canvas canvas = geometry.canvas(height, 64);
    EXPECT_EQ(canvas.height, 8 * canvas.latent_height);
    EXPECT_GE(canvas.height, height);
    EXPECT_LT(canvas.height - 8, height);
    EXPECT_EQ(canvas.width, 64);
    EXPECT_EQ(canvas.latent_width, 8);
  }
}

TEST(PriorGeometry, APriorOfOneSizeTakesNoOther) {
  PriorGeometry geometry{.image_channels = 1, .latent_channels = 5};
  geometry.only = Canvas{2, 3, 1, 1};
  EXPECT_EQ(geometry.canvas(2, 3), (Canvas{2, 3, 1, 1}));
  EXPECT_THROW(geometry.canvas(3, 2), DataError);
  EXPECT_THROW(geometry.canvas(1, 3), DataError);
}

TEST(PriorGeometry, LatentsOfPatchesAreWholePatches) {
  const PriorGeometry geometry{.image_channels = 3, .latent_channels = 16, .factor = 8, .patch = 2};
  EXPECT_EQ(geometry.canvas(1, 16), (Canvas{16, 16, 2, 2}));
  EXPECT_EQ(geometry.canvas(17, 500), (Canvas{32, 512, 4, 64}));
}

TEST(PriorGeometry, AnImageLargerThanThePositionsIsRefused) {
  const PriorGeometry geometry{
      .image_channels = 3, .latent_channels = 16, .factor = 8, .patch = 2, .largest = 64};
  EXPECT_EQ(geometry.canvas(512, 500), (Canvas{512, 512, 64, 64}));
  for (const auto& [height, width] : {std::pair{513, 16}, {16, 513}}) {
    try {
      (void)geometry.canvas(height, width);
      ADD_FAILURE() << height << " x " << width << " is taken";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("512 x 512 at most"), std::string::npos) << error.what();
    }
  }
}

TEST(PriorGeometry, NothingIsNoImage) {
  EXPECT_THROW(PriorGeometry{}.canvas(0, 4), DataError);
  EXPECT_THROW(PriorGeometry{}.canvas(4, 0), DataError);
}

}  // namespace
}  // namespace dwgf
