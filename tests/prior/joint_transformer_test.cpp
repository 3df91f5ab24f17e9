#include "prior/models/joint_transformer.hpp"

#include <string>
#include <tuple>

#include <dwgf/base/error.hpp>

#include "prior/files/weights.hpp"
#include "prior/nn/autograd_vjp.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

std::shared_ptr<JointTransformer> load(const std::string& like, at::ScalarType type) {
  const std::filesystem::path folder = test::data(like) / "transformer";
  const Weights weights(folder, "diffusion_pytorch_model");
  FileHashes hashes;
  return load_model<JointTransformer>(read_joint_transformer_config(folder / "config.json"), weights,
                                      same_name, at::TensorOptions(type), hashes);
}

class JointTransformerParity : public ::testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {};

TEST_P(JointTransformerParity, OutputAndPullBackEqualDiffusers) {
  const auto [like, type] = GetParam();
  const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
  const auto golden = test::read_all(test::data(std::string(like) + ".safetensors"));
  const auto in = [&](const char* name) { return golden.at(name).to(type); };
  const auto network = load(like, type);
  const auto velocity = [&](const at::Tensor& z, double time) {
    return network->forward(z, time, in("context"), in("pooled"));
  };
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, time] : {std::pair{"1000", 1000.0}, {"502", 501.5}, {"9", 8.928571701049805}}) {
      const double error =
          test::relative_error(velocity(in("z"), time), golden.at(std::string("velocity.") + name));
      EXPECT_LE(error, tolerance) << name;
      RecordProperty(std::string("error.") + name, std::to_string(error));
    }
    EXPECT_LE(test::relative_error(velocity(in("z_wide"), 501.5), golden.at("velocity.wide")), tolerance);
  }
  const Vjp product = autograd_vjp([&](const at::Tensor& z) { return velocity(z, 501.5); }, in("z"));
  EXPECT_LE(test::relative_error(product.value, golden.at("velocity.502")), tolerance);
  EXPECT_LE(test::relative_error(product.pull(in("pull")), golden.at("velocity.gradient")), tolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, JointTransformerParity,
                         ::testing::Combine(::testing::Values("sd3", "sd35"),
                                            ::testing::Values(at::kFloat, at::kDouble)));

TEST(JointTransformer, ASampleDoesNotSeeItsNeighbours) {
  const auto golden = test::read_all(test::data("sd35.safetensors"));
  const auto network = load("sd35", at::kFloat);
  const at::NoGradGuard no_grad;
  const at::Tensor z = golden.at("z").to(at::kFloat), context = golden.at("context").to(at::kFloat),
                   pooled = golden.at("pooled").to(at::kFloat);
  at::Tensor other = z.clone();
  other[1].mul_(-2.0);
  EXPECT_TRUE(at::equal(network->forward(other, 400.0, context, pooled)[0],
                        network->forward(z, 400.0, context, pooled)[0]));
}

TEST(JointTransformer, OfTwoPromptsEachHasHalfOfTheSamples) {
  const auto golden = test::read_all(test::data("sd35.safetensors"));
  const auto network = load("sd35", at::kDouble);
  const at::NoGradGuard no_grad;
  const at::Tensor z = golden.at("z").to(at::kDouble), context = golden.at("context").to(at::kDouble),
                   pooled = golden.at("pooled").to(at::kDouble);
  const at::Tensor both =
      network->forward(at::cat({z, z}), 400.0, at::cat({context, 2.0 * context}), at::cat({pooled, -pooled}));
  EXPECT_LE(test::relative_error(both.narrow(0, 0, 2), network->forward(z, 400.0, context, pooled)), 1e-13);
  EXPECT_LE(test::relative_error(both.narrow(0, 2, 2), network->forward(z, 400.0, 2.0 * context, -pooled)),
            1e-13);
}

TEST(JointTransformer, NoParameterAsksForAGradient) {
  const auto network = load("sd35", at::kFloat);
  ASSERT_GT(network->parameters().size(), 80U);
  for (const auto& parameter : network->named_parameters())
    EXPECT_FALSE(parameter.value().requires_grad()) << parameter.key();
}

TEST(JointTransformer, ALatentBeyondItsPositionsIsRefused) {
  const auto network = load("sd3", at::kFloat);
  EXPECT_THROW(
      (void)network->forward(at::zeros({1, 16, 18, 4}), 400.0, at::zeros({1, 1, 24}), at::zeros({1, 14})),
      DataError);
}

}  // namespace
}  // namespace dwgf
