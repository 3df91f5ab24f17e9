#include <cmath>

#include <gtest/gtest.h>

#include "e2e/results_bits.hpp"
#include "e2e/workplace.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

TEST(Sizes, ImagesOfAnySizeAreRestoredSideBySide) {
  const std::filesystem::path folder = new_folder("sizes"), images = folder / "images";
  std::filesystem::create_directory(images);
  make_picture(images / "a.png", 1, 9, 22);
  make_picture(images / "b.png", 2, 17, 5);
  const Arguments more{"--problem.operator", "box:1,1,3,3", "--store.particles", "uint8",
                       "--store.latents",    "float32"};
  expect_code(run(2, small_job(images, folder / "two.h5", more)), 0);
  expect_code(run(0, small_job(images, folder / "one.h5", more)), 0);
  EXPECT_EQ(difference(bits_of(folder / "one.h5"), bits_of(folder / "two.h5")), "");

  const ResultsFile file = ResultsFile::open_for_reading(folder / "two.h5");
  EXPECT_EQ(file.layout().find("/posterior/mean")->row_shape, (std::vector<std::int64_t>{3, 17, 22}));
  const std::vector<std::int64_t> latents = file.layout().find("/particles/z")->row_shape;
  EXPECT_EQ(std::vector<std::int64_t>(latents.begin() + 1, latents.end()),
            (std::vector<std::int64_t>{4, 5, 6}));
  for (const auto& [row, height, width] : {std::array{0, 9, 22}, std::array{1, 17, 5}}) {
    const std::vector<float> mean = file.read_floats("/posterior/mean", row);
    for (int y = 0; y < 17; ++y) {
      for (int x = 0; x < 22; ++x)
        EXPECT_EQ(std::isnan(mean[y * 22 + x]), y >= height || x >= width) << row << y << x;
    }
  }
  expect_code(run(0, {"evaluate", folder / "two.h5"}), 0);
  expect_code(run(0, {"export", folder / "two.h5", "--to", folder / "out"}), 0);
}

}  // namespace
}  // namespace dwgf::test
