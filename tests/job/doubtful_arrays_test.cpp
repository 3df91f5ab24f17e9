// Masks and kernels that are probably not meant: of one image for all, or of every image.
#include "job/ahead/doubtful_arrays.hpp"

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "data/npy.hpp"
#include "store/measurements.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

class DoubtfulArrays : public testing::Test {
 protected:
  DoubtfulArrays() { fs::create_directories(folder_); }
  ~DoubtfulArrays() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::vector<Finding> found(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--store.out", path("r.h5"), "--prior.path", "builtin:fashion"});
    return doubtful_arrays(RestoreJob(parse_settings(*find_command("restore"), arguments), self_));
  }

  /// Three images, each with a mask of ones but for one value of its own.
  void write_masked(std::initializer_list<float> values) {
    MeasurementsLayout layout;
    for (std::uint64_t k = 0; k < values.size(); ++k)
      layout.images.push_back({k, "image " + std::to_string(k), 32, 32});
    layout.datasets = {{"/measurement/y", NumberType::float32, {1, 32, 32}},
                       {"/operator/mask", NumberType::float32, {32, 32}}};
    layout.sigma = 0.05;
    layout.image_shape = {1, 32, 32};
    layout.attributes = {{"operator", "mask:@"}};
    fs::remove(path("y.h5"));
    MeasurementsWriter writer(path("y.h5"), layout, self_);
    std::int64_t row = 0;
    for (const float value : values) {
      std::vector<float> y(32 * 32), mask(32 * 32, 1.0f);
      mask[5] = value;
      writer.write("/measurement/y", row, std::as_bytes(std::span(y)));
      writer.write("/operator/mask", row++, std::as_bytes(std::span(mask)));
    }
    writer.publish();
  }

  fs::path folder_ = fs::temp_directory_path() / ("dwgf-doubtful-" + std::to_string(getpid()));
  Communicator self_ = Communicator::self();
};

TEST_F(DoubtfulArrays, OfEveryImageAreLookedAt) {
  write_masked({0, 0.5f, 0.25f});
  const std::vector<Finding> findings = found({"--input.data", path("y.h5")});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].topic, "mask");
  EXPECT_NE(findings[0].text.find("of 2 of 3 images, the first of them image 1"), std::string::npos)
      << findings[0].text;
  EXPECT_NE(findings[0].text.find("holds 0.5, between 0 and 1"), std::string::npos) << findings[0].text;
  write_masked({0, 0, 1});
  EXPECT_TRUE(found({"--input.data", path("y.h5")}).empty());
}

TEST_F(DoubtfulArrays, OfAFileAreThoseOfAllImages) {
  write_npy(path("x.npy"), {2, 1, 32, 32}, std::vector<float>(2 * 32 * 32, 0.5f));
  write_npy(path("k.npy"), {1, 3}, std::vector<float>{2, 3, 2});
  const std::vector<Finding> findings =
      found({"--input.data", path("x.npy"), "--problem.operator", "kernel:" + path("k.npy")});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].text.find("the kernel '" + path("k.npy") + "' sums to 7"), 0u) << findings[0].text;
}

}  // namespace
}  // namespace dwgf
