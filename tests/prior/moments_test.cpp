#include "prior/moments.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

const at::TensorOptions kDouble(at::kDouble);

at::Tensor pattern(at::IntArrayRef shape, double phase) {
  const std::int64_t count = c10::multiply_integers(shape);
  return at::sin(at::arange(count, kDouble) * 1.7 + phase).reshape(shape);
}

PriorGeometry geometry() {
  return {.image_channels = 3, .latent_channels = 2, .factor = 2};
}
Cells cells() {
  return {geometry(), geometry().canvas(6, 4)};  // Q = 2 + 12, 3 x 2
}

JointMoments all_parts() {
  return {.factor = pattern({14, 3, 2, 5}, 0.1),
          .variance = pattern({14, 1, 1}, 0.2).square(),
          .scale = pattern({14, 3, 2}, 0.3),
          .root = pattern({14, 4, 3, 3}, 0.4)};
}

at::Tensor matrix_of(const JointCovariance& covariance, const Cells& layout) {
  const std::int64_t size = layout.entries();
  const at::Tensor units =
      at::eye(size, kDouble).view({size, layout.values(), layout.rows(), layout.columns()});
  return covariance.times(units).flatten(1);
}

/// The linear map from white noise to a draw, [entries, white numbers]: one unit vector after the other.
at::Tensor root_of(const JointCovariance& covariance, const Cells& layout) {
  std::int64_t asked = 0, unit = -1;
  const WhiteNoise white = [&](at::IntArrayRef shape) {
    const std::int64_t count = c10::multiply_integers(shape);
    const at::Tensor values = at::zeros({count}, kDouble);
    if (unit >= asked && unit < asked + count) values[unit - asked] = 1.0;
    asked += count;
    return values.view(shape);
  };
  covariance.draw(1, layout, white);
  const std::int64_t numbers = asked;
  std::vector<at::Tensor> columns;
  for (unit = 0; unit < numbers; ++unit) {
    asked = 0;
    columns.push_back(covariance.draw(1, layout, white).flatten());
  }
  return at::stack(columns, 1);
}

TEST(Cells, HoldLatentsAndTheImagesUnderThem) {
  const Cells layout = cells();
  EXPECT_EQ(layout.values(), 14);
  const at::Tensor z = pattern({2, 2, 3, 2}, 0.5), x = pattern({2, 3, 6, 4}, 0.6);
  const at::Tensor joined = layout.join(z, x);
  EXPECT_EQ(joined.sizes(), (std::vector<std::int64_t>{2, 14, 3, 2}));
  EXPECT_TRUE(at::equal(layout.latents(joined), z));
  EXPECT_TRUE(at::equal(layout.images(joined), x));
  EXPECT_TRUE(at::equal(layout.images(layout.of_images(x)), x));
  EXPECT_EQ(layout.latents(layout.of_images(x)).count_nonzero().item<std::int64_t>(), 0);
  // The pixels of the cell in row 1, column 0.
  EXPECT_TRUE(at::equal(std::get<0>(joined.select(0, 0).select(1, 1).select(1, 0).narrow(0, 2, 12).sort()),
                        std::get<0>(x[0].narrow(1, 2, 2).narrow(2, 0, 2).flatten().sort())));
}

TEST(Cells, AreOneWhereLatentsAndImagesAreNoGridsOfEachOther) {
  const PriorGeometry flat{.image_channels = 1, .latent_channels = 1, .only = Canvas{1, 13, 1, 8}};
  const Cells layout(flat, flat.canvas(1, 13));
  EXPECT_EQ(layout.entries(), 21);
  EXPECT_EQ(layout.rows(), 1);
  const at::Tensor z = pattern({2, 1, 1, 8}, 0.5), x = pattern({2, 1, 1, 13}, 0.6);
  EXPECT_TRUE(at::equal(layout.latents(layout.join(z, x)), z));
  EXPECT_TRUE(at::equal(layout.images(layout.join(z, x)), x));
}

TEST(JointCovariance, IsSymmetricAndWhatItsDrawsHave) {
  const Cells layout = cells();
  JointMoments other = all_parts();
  other.factor = other.scale = at::Tensor();
  const JointCovariance covariance({{0.3, all_parts()}, {0.7, other}});
  const at::Tensor matrix = matrix_of(covariance, layout), root = root_of(covariance, layout);
  EXPECT_TRUE(at::allclose(matrix, matrix.t(), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(matrix, covariance.matrix(layout), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(matrix, at::matmul(root, root.t()), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(matrix.diagonal(), covariance.diagonal().flatten(), 1e-12, 1e-12));
}

TEST(JointCovariance, IsTheSameEverywhereWhereNothingIsOfOneSize) {
  JointMoments everywhere = all_parts();
  everywhere.factor = at::Tensor();
  everywhere.scale = pattern({14, 1, 1}, 0.3);
  const Cells layout(geometry(), geometry().canvas(10, 10));
  const at::Tensor matrix =
      matrix_of(JointCovariance({{1.0, everywhere}}), layout).view({14, 5, 5, 14, 5, 5});
  const auto block = [&](std::int64_t row, std::int64_t column) {
    return matrix.select(1, row).select(1, column).select(2, row + 1).select(2, column);
  };
  EXPECT_TRUE(at::allclose(block(0, 0), block(2, 3), 1e-12, 1e-12));
}

PriorMoments three_levels() {
  std::vector<PriorMoments::AtLevel> levels;
  for (const double ratio : {-1.0, 0.0, 2.0}) {
    JointMoments moments = all_parts();
    moments.variance = moments.variance + ratio + 1.0;
    levels.push_back({ratio, moments});
  }
  return {levels, pattern({14, 1, 1}, 0.7), all_parts(), {{"source", "a test"}}};
}

TEST(PriorMoments, AreLinearBetweenLevelsAndConstantBeyond) {
  const Cells layout = cells();
  const PriorMoments moments = three_levels();
  const auto at = [&](double ratio) { return matrix_of(moments.at(ratio), layout); };
  EXPECT_TRUE(at::allclose(at(0.5), 0.75 * at(0.0) + 0.25 * at(2.0), 1e-12, 1e-12));
  EXPECT_TRUE(at::equal(at(-7.0), at(-1.0)));
  EXPECT_TRUE(at::equal(at(9.0), at(2.0)));
}

class MomentsFile : public ::testing::Test {
 protected:
  ~MomentsFile() override { std::filesystem::remove(path_); }
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("moments-" + std::to_string(::getpid()) + ".safetensors");
};

TEST_F(MomentsFile, GivesBackWhatWasWritten) {
  const Cells layout = cells();
  write_moments(path_, three_levels());
  const PriorMoments read = read_moments(path_).to(kDouble);
  EXPECT_EQ(read.about().at("source"), "a test");
  ASSERT_EQ(read.levels().size(), 3U);
  EXPECT_DOUBLE_EQ(read.levels()[2].log_ratio, 2.0);
  const at::Tensor written = matrix_of(three_levels().at(0.3), layout);
  const double off = (matrix_of(read.at(0.3), layout) - written).abs().max().item<double>();
  EXPECT_LT(off, 2e-3 * written.abs().max().item<double>());  // float16
}

TEST_F(MomentsFile, IsRefusedInWordsWhereItIsDamaged) {
  const auto refusal = [&] {
    try {
      read_moments(path_);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  PriorMoments negative = three_levels();
  std::vector<PriorMoments::AtLevel> levels = negative.levels();
  levels[1].moments.variance = -levels[1].moments.variance - 1.0;
  write_moments(path_, {levels, negative.mean(), negative.covariance(), {}});
  EXPECT_NE(refusal().find("level.1.variance"), std::string::npos) << refusal();
  levels[1].moments.variance = at::full({14, 1, 1}, std::nan(""), kDouble);
  write_moments(path_, {levels, negative.mean(), negative.covariance(), {}});
  EXPECT_NE(refusal().find("not finite"), std::string::npos) << refusal();
  levels[1].moments.variance = at::ones({13, 1, 1}, kDouble);
  write_moments(path_, {levels, negative.mean(), negative.covariance(), {}});
  EXPECT_NE(refusal().find("calibrate-prior"), std::string::npos) << refusal();
  std::filesystem::resize_file(path_, 100);
  EXPECT_NE(refusal().find(path_.string()), std::string::npos) << refusal();
}

TEST(PriorMoments, OfOneSizeAreRefusedForAnother) {
  const PriorMoments moments = three_levels();
  EXPECT_NO_THROW(moments.require_fits(cells()));
  EXPECT_THROW(moments.require_fits({geometry(), geometry().canvas(8, 4)}), DataError);
  const PriorGeometry grey{.image_channels = 1, .latent_channels = 2, .factor = 2};
  EXPECT_THROW(moments.require_fits({grey, grey.canvas(6, 4)}), DataError);
}

}  // namespace
}  // namespace dwgf
