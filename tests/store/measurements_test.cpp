// Measurements files: what was written comes back, on any number of ranks; h5py's files; what is refused.
#include "store/measurements.hpp"

#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>
#include <store/temporary_directory.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf::test {
namespace {

const std::string by_h5py = DWGF_TEST_DATA "/measurements/h5py.h5";

MeasurementsLayout layout_of(std::size_t images) {
  MeasurementsLayout layout;
  for (std::size_t k = 0; k < images; ++k)
    layout.images.push_back({k * 7 + 1, "image " + std::to_string(k), 4, 6});
  layout.datasets = {{"/measurement/y", NumberType::float32, {1, 2, 3}},
                     {"/truth/x", NumberType::float32, {1, 4, 6}},
                     {"/operator/mask", NumberType::float32, {1, 4, 6}}};
  layout.constants = {{"kernel", {{1, 3}, {0.25f, 0.5f, 0.25f}}}};
  layout.attributes = {{"operator", "mask:@ | kernel:@ | mean:2"}, {"noise", "gaussian"}};
  layout.sigma = 0.1;
  layout.image_shape = {1, 4, 6};
  return layout;
}

std::vector<float> row_of(const std::string& dataset, std::int64_t row, std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), static_cast<float>(row) * 100 + static_cast<float>(dataset.size()));
  return values;
}

TEST(Measurements, ComeBackAsAnyNumberOfRanksWroteThem) {
  Communicator world = Communicator::world();
  const std::string path = temporary("measurements.h5");
  const MeasurementsLayout layout = layout_of(7);
  MeasurementsWriter writer(path, layout, world);
  for (std::int64_t row = world.rank(); row < 7; row += world.size()) {
    for (const DatasetLayout& dataset : layout.datasets) {
      const std::vector<float> values =
          row_of(dataset.path, row, static_cast<std::size_t>(dataset.row_values()));
      writer.write(dataset.path, row, std::as_bytes(std::span(values)));
    }
  }
  EXPECT_FALSE(is_measurements_file(path)) << "it has its name before it is whole";
  world.barrier();
  writer.publish();
  ASSERT_TRUE(is_measurements_file(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".creating"));

  const MeasurementsFile file(path);
  ASSERT_EQ(file.entries().size(), 7u);
  EXPECT_EQ(file.entries()[3].id, 22u);
  EXPECT_EQ(file.entries()[3].name, "image 3");
  EXPECT_EQ(file.entries()[3].height, 4u);
  EXPECT_EQ(file.operator_spec(), "mask:@ | kernel:@ | mean:2");
  EXPECT_EQ(file.noise(), "gaussian");
  EXPECT_EQ(file.sigma(), 0.1);
  EXPECT_EQ(file.channels(), 1);
  ASSERT_TRUE(file.has_truth());
  for (std::int64_t row = 0; row < 7; ++row) {
    EXPECT_EQ(file.measurement(row).values, row_of("/measurement/y", row, 6));
    EXPECT_EQ(file.truth(row).values, row_of("/truth/x", row, 24));
    EXPECT_EQ(file.array("mask", "mask", row).values, row_of("/operator/mask", row, 24));
    EXPECT_EQ(file.array("kernel", "kernel", row).shape, (std::vector<std::int64_t>{1, 3}));
  }
  EXPECT_TRUE(file.is_per_image("mask", "mask"));
  EXPECT_FALSE(file.is_per_image("kernel", "kernel"));
  // A second one does not replace it.
  world.barrier();
  EXPECT_THROW(MeasurementsWriter(path, layout, world), IoError);
}

TEST(Measurements, LeftUnfinishedAreNotThere) {
  Communicator world = Communicator::world();
  const std::string path = temporary("unfinished.h5");
  { const MeasurementsWriter abandoned(path, layout_of(2), world); }
  world.barrier();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THROW(MeasurementsFile{path}, NotFoundError);
  // What is left of it is replaced.
  MeasurementsWriter again(path, layout_of(2), world);
  again.publish();
  EXPECT_TRUE(is_measurements_file(path));
}

TEST(Measurements, OfH5pyAreRead) {
  ASSERT_TRUE(is_measurements_file(by_h5py));
  const MeasurementsFile file(by_h5py);
  ASSERT_EQ(file.entries().size(), 2u);
  EXPECT_EQ(file.entries()[1].id, 1u);
  EXPECT_EQ(file.entries()[1].name, "h\xc3\xb6her.png");
  EXPECT_EQ(file.entries()[1].width, 8u);
  EXPECT_FALSE(file.has_truth());
  EXPECT_FALSE(file.sigma().has_value());
  EXPECT_EQ(file.measurement(1).shape, (std::vector<std::int64_t>{1, 8, 8}));
  const FloatArray mask = file.array("mask", "mask", 0);
  EXPECT_EQ(mask.shape, (std::vector<std::int64_t>{8, 8}));
  for (const float value : mask.values) EXPECT_TRUE(value == 0 || value == 1);
  const float observed = std::accumulate(mask.values.begin(), mask.values.end(), 0.0f);
  EXPECT_GT(observed, 30);
  EXPECT_LT(observed, 60);
  EXPECT_THROW(file.array("matrix", "matrix", 0), DataError);
  EXPECT_THROW(file.is_per_image("matrix", "mask"), DataError);
}

TEST(Measurements, MayHaveTextsOfFixedLength) {
  const MeasurementsFile file(DWGF_TEST_DATA "/measurements/fixed-texts.h5");
  EXPECT_EQ(file.operator_spec(), "mask:@ | kernel:@");
  EXPECT_EQ(file.entries()[1].name, "right.png");
  EXPECT_EQ(file.entries()[1].id, 6u);
  EXPECT_EQ(file.entries()[1].height, 8u);  // from the truth, as there is no image_shape
  EXPECT_EQ(file.sigma(), 0.1);
  EXPECT_EQ(file.truth(0).shape, (std::vector<std::int64_t>{1, 8, 8}));
}

TEST(Measurements, MayBeComplexWithALevelAnImageAndUnits) {
  const MeasurementsFile file(DWGF_TEST_DATA "/measurements/complex.h5");
  EXPECT_FALSE(file.sigma().has_value());
  EXPECT_EQ(file.sigmas(), (std::vector<double>{0.05, 0.1}));
  EXPECT_EQ(file.units(), (ValueUnits{1000, 24, "HU"}));
  const FloatArray y = file.measurement(1);
  ASSERT_EQ(y.shape, (std::vector<std::int64_t>{2, 1, 8, 8}));
  // Of a real image: the frequency 0 is real, opposite ones are conjugate.
  EXPECT_EQ(y.values[64], 0);
  EXPECT_NEAR(y.values[1], y.values[7], 1e-6);
  EXPECT_NEAR(y.values[64 + 1], -y.values[64 + 7], 1e-6);
  EXPECT_NE(y.values[64 + 1], 0);
  EXPECT_FALSE(file.has_levels());
  EXPECT_TRUE(MeasurementsFile(DWGF_TEST_DATA "/measurements/levels.h5").has_levels());
}

TEST(Measurements, OfALevelThatIsATextSayWhatToSet) {
  const std::string text =
      message_of<DataError>([] { MeasurementsFile(DWGF_TEST_DATA "/measurements/no-level.h5"); });
  EXPECT_NE(text.find("problem.sigma = estimate"), std::string::npos) << text;
}

TEST(Measurements, AreNotWhatIsNoHdf5FileOrHasNoMark) {
  EXPECT_FALSE(is_measurements_file(DWGF_TEST_DATA));
  EXPECT_FALSE(is_measurements_file(DWGF_TEST_DATA "/operators/operators.json"));
  EXPECT_FALSE(is_measurements_file(DWGF_TEST_DATA "/not-there.h5"));
  EXPECT_FALSE(is_measurements_file(DWGF_TEST_DATA "/prior/mixture.h5"));
  EXPECT_THROW(MeasurementsFile(DWGF_TEST_DATA "/prior/mixture.h5"), DataError);
}

}  // namespace
}  // namespace dwgf::test
