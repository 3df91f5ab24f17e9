// Every study in jobs/ is one: its options are known, its operator can be built for its images, and it names
// what is there.
#include <filesystem>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/operators/operator.hpp>

#include "input/settings.hpp"
#include "job/operator_files.hpp"
#include "job/tensors.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

TEST(Jobs, AreReadAndTheirOperatorsBuilt) {
  const fs::path root = DWGF_SOURCE_DIR;
  int jobs = 0;
  for (const auto& file : fs::directory_iterator(root / "jobs")) {
    if (file.path().extension() != ".ini") continue;
    ++jobs;
    const std::string name = file.path().string();
    const JobInput job = parse_settings(*find_command("restore"), {"--config", name}).as<JobInput>();
    EXPECT_TRUE(fs::exists(root / job.images.data)) << name;
    const bool of_photographs = job.prior.path == "builtin:photo";
    OperatorContext context{of_photographs ? ImageShape{3, 256, 256} : ImageShape{1, 32, 32}};
    context.load_array = [&](const std::string& kind, const std::string& path) {
      return load_operator_file(kind, (root / path).string());
    };
    const auto forward = make_operator(job.problem.forward, context);
    EXPECT_GT(forward->observed_count(), 0) << name;
    EXPECT_NO_THROW(make_noise_model(job.problem.noise, job.problem.given_sigma(), *forward)) << name;
  }
  EXPECT_GE(jobs, 12);
}

TEST(OperatorFiles, AreScaledByWhatTheyAre) {
  const std::string levels = DWGF_TEST_DATA "/pictures/levels.npy";
  const at::Tensor kernel = load_operator_file("kernel", levels),
                   matrix = load_operator_file("matrix", levels);
  EXPECT_TRUE(at::equal(matrix, kernel / 127.5 - 1));
  EXPECT_GT(kernel.max().item<double>(), 100);
  const at::Tensor mask = load_operator_file("mask", DWGF_SOURCE_DIR "/jobs/data/mri-mask.png");
  EXPECT_EQ(mask.sizes(), at::IntArrayRef({32, 32}));
  EXPECT_EQ(mask.ne(0).sum().item<std::int64_t>(), 11 * 32);
  EXPECT_THROW(load_operator_file("mask", DWGF_TEST_DATA "/none.png"), NotFoundError);
  EXPECT_THROW(load_operator_file("kernel", DWGF_SOURCE_DIR "/jobs/data/mri-mask.png"), DataError);
}

TEST(Embedded, IsUndoneByCutting) {
  const at::Tensor small = at::rand({2, 3});
  const at::Tensor large = embedded(small, {2, 5});
  EXPECT_TRUE(at::isnan(large.narrow(1, 3, 2)).all().item<bool>());
  EXPECT_TRUE(at::equal(cut(large, {2, 3}), small));
  const FloatArray stored{{2, 5}, {large.data_ptr<float>(), large.data_ptr<float>() + 10}};
  EXPECT_TRUE(at::equal(as_tensor(stored), small));
}

}  // namespace
}  // namespace dwgf
