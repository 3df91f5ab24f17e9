// LPIPS and FID against the lpips and pytorch-fid packages on networks with random weights
// (tools/make_perceptual_golden.py): weights and images are drawn from the addressed random numbers on both
// sides.
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>
#include <span>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "metric/frechet.hpp"
#include "metric/inception.hpp"
#include "metric/lpips.hpp"

namespace dwgf {
namespace {

const nlohmann::json& golden() {
  static const nlohmann::json json = [] {
    std::ifstream file(DWGF_TEST_DATA "/metric/perceptual.json");
    return nlohmann::json::parse(file);
  }();
  return json;
}

at::Tensor drawn(const std::string& name, const std::vector<std::int64_t>& shape) {
  at::Tensor values = at::empty(shape, at::kFloat);
  fill_normals({1, fnv1a(name), 0, 0, Purpose::init},
               {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return values.to(at::kDouble);
}

at::Tensor weight(const std::string& name, const std::vector<std::int64_t>& shape) {
  at::Tensor n = drawn(name, shape);
  if (name.starts_with("lin")) {
    n = n.abs() / static_cast<double>(shape[1]);
  } else if (shape.size() == 4) {
    n = n * std::sqrt(2.0 / static_cast<double>(shape[1] * shape[2] * shape[3]));
  } else if (name.ends_with("bn.weight")) {
    n = 1.0 + 0.1 * n;
  } else if (name.ends_with("running_var")) {
    n = 1.0 + 0.1 * n.abs();
  } else {
    n = 0.1 * n;
  }
  return n.to(at::kFloat);
}

NamedTensors weights(const char* network) {
  NamedTensors tensors;
  for (const auto& [name, shape] : golden()[network]["names"].items())
    tensors[name] = weight(name, shape.get<std::vector<std::int64_t>>());
  return tensors;
}

struct Pair {
  at::Tensor x, truth;
};

Pair image_pair(const std::string& name, const std::vector<std::int64_t>& shape) {
  const at::Tensor truth = (128 * drawn(name, shape).tanh()).round() / 256 * 1.5;
  const at::Tensor x = truth + (64 * drawn(name + " noise", shape)).round() / 256;
  return {x.to(at::kFloat), truth.to(at::kFloat)};
}

const std::vector<std::vector<std::int64_t>> kShapes = {{3, 64, 64}, {3, 33, 47}, {1, 32, 32}};

at::Tensor matrix(const nlohmann::json& rows) {
  const auto values = rows.get<std::vector<std::vector<double>>>();
  std::vector<at::Tensor> tensors;
  for (const std::vector<double>& row : values) tensors.push_back(at::tensor(row, at::kDouble));
  return at::stack(tensors);
}

FeatureSums sums_of(const at::Tensor& rows) {
  FeatureSums sums(rows.size(1));
  sums.add(rows);
  return sums;
}

class LpipsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(LpipsTest, AgreesWithItsPackage) {
  at::set_num_threads(1);
  const Lpips lpips(weights(GetParam()));
  EXPECT_EQ(lpips.network(), std::string(GetParam()) == "alex" ? "AlexNet" : "VGG16");
  const std::vector<double> expected = golden()[GetParam()]["values"];
  for (std::size_t k = 0; k < kShapes.size(); ++k) {
    const auto [x, truth] =
        image_pair(std::string(GetParam()) + " " + std::to_string(kShapes[k][1]), kShapes[k]);
    const double found = lpips(x, truth);
    EXPECT_GT(expected[k], 1e-3);
    EXPECT_NEAR(found, expected[k], 1e-5 * expected[k]) << k;
    EXPECT_EQ(lpips(truth, truth), 0.0);
    EXPECT_NEAR(lpips(truth, x), found, 1e-6 * found);
    EXPECT_EQ(lpips(x.clamp(-1, 1), truth.clamp(-1, 1)), found);
  }
}

TEST_P(LpipsTest, IsUndefinedForTinyImagesAndWhatIsNotFinite) {
  const Lpips lpips(weights(GetParam()));
  const std::int64_t smallest = std::string(GetParam()) == "alex" ? 31 : 16;
  const at::Tensor image = at::zeros({3, smallest, smallest});
  EXPECT_EQ(lpips(image, image), 0.0);
  EXPECT_TRUE(std::isnan(lpips(image.narrow(1, 1, smallest - 1), image.narrow(1, 1, smallest - 1))));
  at::Tensor broken = image.clone();
  broken[0][3][3] = NAN;
  EXPECT_TRUE(std::isnan(lpips(broken, image)));
  EXPECT_THROW(lpips(image, image.narrow(0, 0, 1)), InternalError);
}

INSTANTIATE_TEST_SUITE_P(Networks, LpipsTest, ::testing::Values("alex", "vgg"));

TEST(MetricWeights, ThatDoNotFitAreRefusedByName) {
  const auto refused = [](const std::function<void(NamedTensors&)>& change, const std::string& word) {
    NamedTensors tensors = weights("alex");
    change(tensors);
    try {
      Lpips lpips(tensors);
      ADD_FAILURE() << "not refused: " << word;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refused([](NamedTensors& t) { t.erase("lin3.weight"); }, "lin3.weight");
  refused([](NamedTensors& t) { t["features.3.bias"] = at::zeros({5}); }, "features.3.bias");
  refused([](NamedTensors& t) { t["features.0.weight"][0][0][0][0] = INFINITY; }, "features.0.weight");
  EXPECT_THROW(Inception(weights("alex")), DataError);
}

TEST(InceptionTest, AgreesWithPytorchFid) {
  at::set_num_threads(1);
  const Inception inception(weights("inception"));
  const nlohmann::json& expected = golden()["inception"];
  for (std::size_t k = 0; k < kShapes.size(); ++k) {
    const at::Tensor x = image_pair("inception " + std::to_string(kShapes[k][1]), kShapes[k]).x;
    const at::Tensor features = inception(x.unsqueeze(0)).to(at::kDouble);
    ASSERT_EQ(features.sizes(), at::IntArrayRef({1, Inception::kFeatures}));
    const double mean = expected["mean"][k], norm = expected["norm"][k];
    EXPECT_NEAR(features.mean().item<double>(), mean, 1e-5 * mean);
    EXPECT_NEAR(features.norm().item<double>(), norm, 1e-5 * norm);
    const at::Tensor first = at::tensor(expected["first"][k].get<std::vector<double>>(), at::kDouble);
    EXPECT_LT((features[0].slice(0, 0, 24) - first).abs().max().item<double>(), 1e-4 * mean);
  }
}

TEST(Frechet, AgreesWithPytorchFid) {
  const nlohmann::json& expected = golden()["distance"];
  const FeatureSums one = sums_of(matrix(expected["one"])), other = sums_of(matrix(expected["other"])),
                    few = sums_of(matrix(expected["few"]));
  EXPECT_NEAR(FrechetReference(one).distance(other), expected["one_other"].get<double>(), 1e-9);
  EXPECT_NEAR(FrechetReference(other).distance(one), expected["one_other"].get<double>(), 1e-9);
  EXPECT_NEAR(FrechetReference(few).distance(other), expected["few_other"].get<double>(),
              1e-6);  // a singular covariance
  EXPECT_NEAR(FrechetReference(one).distance(one), 0.0, 1e-9);
}

TEST(Frechet, SumsDoNotDependOnHowImagesAreShared) {
  const at::Tensor features = drawn("shared", {50, 5}).abs();
  FeatureSums whole = sums_of(features), first = sums_of(features.slice(0, 0, 17)),
              second = sums_of(features.slice(0, 17, 50));
  std::span<std::int64_t> total = first.values(), more = second.values();
  for (std::size_t k = 0; k < total.size(); ++k) total[k] += more[k];
  EXPECT_TRUE(std::equal(total.begin(), total.end(), whole.values().begin()));
  EXPECT_EQ(first.count(), 50);
  EXPECT_LT((whole.mean() - features.mean(0)).abs().max().item<double>(), 1e-4);
  const at::Tensor centred = features - features.mean(0);
  EXPECT_LT((whole.covariance() - at::matmul(centred.t(), centred) / 49).abs().max().item<double>(), 1e-3);
}

TEST(Frechet, IsUndefinedForLessThanTwoImagesAndRefusesWhatIsNoFeature) {
  const FeatureSums one = sums_of(at::ones({1, 3})), many = sums_of(drawn("many", {9, 3}));
  EXPECT_TRUE(std::isnan(FrechetReference(one).distance(many)));
  EXPECT_TRUE(std::isnan(FrechetReference(many).distance(one)));
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY), 32.0})
    EXPECT_THROW(sums_of(at::full({2, 3}, bad)), DataError);
}

}  // namespace
}  // namespace dwgf
