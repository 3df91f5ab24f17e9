#include "job/image_writer.hpp"

#include <cstring>
#include <filesystem>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "job/posterior_products.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kParticles = 5, kHeight = 7, kWidth = 6;

/// Rows of larger images than the one that is written.
ResultsLayout layout_of_results() {
  ResultsLayout layout;
  layout.images = {{1, "image", kHeight, kWidth}};
  for (const std::string& path :
       {std::string(schema::kPosteriorMean.path), std::string(schema::kPosteriorStd.path),
        schema::kQuantile.named(quantile_name(0.05)), std::string(schema::kTruth.path)})
    layout.datasets.push_back({path, NumberType::float32, {3, kHeight + 2, kWidth + 1}});
  layout.datasets.push_back(
      {schema::kParticles.path, NumberType::float32, {kParticles, 3, kHeight + 2, kWidth + 1}});
  layout.datasets.push_back({schema::kMeasurement.path, NumberType::float32, {3, kHeight, kWidth}});
  for (const char* path : {schema::kDiversity.path, schema::kCrps.path, schema::kChiSquared.path})
    layout.datasets.push_back({path, NumberType::float32, {}});
  layout.datasets.push_back({schema::kRanks.path, NumberType::float32, {kParticles + 1}});
  layout.attributes = {{"job", ""}, {"version", ""}, {"system", ""}};
  return layout;
}

/// Image 0 as it is written in slabs of so many values: its checksum, as written and as read, and its mean.
struct Written {
  std::uint32_t stored = 0, read = 0;
  std::vector<float> mean;
};

class WrittenInSlabs : public testing::Test {
 protected:
  WrittenInSlabs() : shape{3, kHeight, kWidth} {
    folder = world.broadcast_text(
        (fs::temp_directory_path() / formatted("dwgf-writer-{}-{}", world.size(), ::getpid())).string(), 0);
    if (world.rank() == 0) fs::create_directories(folder);
    world.barrier();
    const at::Tensor line = at::linspace(-0.9, 0.9, 3 * kHeight * kWidth, at::kFloat);
    image.shape = shape;
    image.truth = line.view({3, kHeight, kWidth});
    image.y = image.truth * 0.5;
    image.forward = make_operator("identity", {shape});
    image.sigma = 0.1;
  }
  ~WrittenInSlabs() override {
    world.barrier();
    std::error_code ignored;
    if (world.rank() == 0) fs::remove_all(folder, ignored);
  }

  Written written(std::int64_t slab) {
    const auto prior = make_gaussian_mixture({.weights = at::ones({1}, at::kDouble),
                                              .means = at::zeros({1, 3, kHeight, kWidth}, at::kDouble),
                                              .covariances = at::ones({1, 3, kHeight, kWidth}, at::kDouble),
                                              .decoder = {},
                                              .offset = {},
                                              .schedule = {}},
                                             at::TensorOptions(at::kFloat));
    const auto noise = make_noise_model("gaussian", image.sigma, *image.forward);
    FlowOptions options;
    options.particles = kParticles;
    options.micro_batch = 2;
    options.steps = 2;
    options.data.consistency = 0.0;
    const Problem problem{*prior, *image.forward, image.y, shape, 1, noise.get()};
    const Solution solution = solve(problem, options, world);
    const std::string path = (folder / formatted("{}.h5", slab)).string();
    ResultsFile results = ResultsFile::create(path, layout_of_results(), world);
    write_image(results, 0, *prior, image, solution, world, {}, slab);
    results.close();
    world.barrier();
    const ResultsFile file = ResultsFile::open_for_reading(path);
    return {file.stored_crc32(0), file.compute_crc32(0), file.read_floats(schema::kPosteriorMean.path, 0)};
  }

  Communicator world = Communicator::world();
  ImageShape shape;
  ImageProblem image;
  fs::path folder;
};

TEST_F(WrittenInSlabs, AnImageHasTheBitsOfOneWrittenAtOnce) {
  const Written at_once = written(kSlabValues);
  EXPECT_EQ(at_once.stored, at_once.read);
  for (const std::int64_t slab : {std::int64_t{1}, 2 * kWidth, 5 * kWidth, 2 * kHeight * kWidth}) {
    const Written in_slabs = written(slab);
    EXPECT_EQ(in_slabs.stored, at_once.stored) << slab;
    EXPECT_EQ(in_slabs.read, at_once.stored) << slab;
    EXPECT_EQ(std::memcmp(in_slabs.mean.data(), at_once.mean.data(), at_once.mean.size() * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace dwgf
