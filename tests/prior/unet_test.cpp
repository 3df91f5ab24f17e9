#include "prior/models/unet.hpp"

#include "prior/files/weights.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

std::shared_ptr<UNet> load(const std::string& like, at::ScalarType type) {
  const Weights weights(test::data(like) / "unet", "diffusion_pytorch_model");
  FileHashes hashes;
  return load_model<UNet>(read_unet_config(test::data(like) / "unet" / "config.json"), weights, same_name,
                          at::TensorOptions(type), hashes);
}

class UNetParity : public ::testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {};

TEST_P(UNetParity, OutputEqualsDiffusers) {
  const auto [like, type] = GetParam();
  const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
  const auto golden = test::read_all(test::data(std::string(like) + ".safetensors"));
  const auto unet = load(like, type);
  const at::NoGradGuard no_grad;

  const at::Tensor context = golden.at("context").to(type);
  for (const int time : {999, 501, 1}) {
    const auto expected = golden.at("unet." + std::to_string(time));
    const double error =
        test::relative_error(unet->forward(golden.at("z").to(type), time, context), expected);
    EXPECT_LE(error, tolerance) << "at time " << time;
    RecordProperty("error." + std::to_string(time), std::to_string(error));
  }
  EXPECT_LE(
      test::relative_error(unet->forward(golden.at("z_odd").to(type), 501, context), golden.at("unet.odd")),
      tolerance);

  const at::Tensor zero = at::zeros({1, 1, golden.at("context").size(2)}, type);
  EXPECT_LE(test::relative_error(unet->forward(golden.at("z").to(type), 501, zero), golden.at("unet.zero")),
            tolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, UNetParity,
                         ::testing::Combine(::testing::Values("sd1", "sd2"),
                                            ::testing::Values(at::kFloat, at::kDouble)));

TEST(UNet, TimeEmbeddingEqualsDiffusers) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const auto unet = load("sd1", at::kDouble);
  for (const int time : {999, 501, 1}) {
    // Float32 sines of up to 999 rad: the same operations, but another processor's may differ in the last
    // place.
    const at::Tensor expected = golden.at("embedding." + std::to_string(time)).to(at::kDouble);
    EXPECT_LE((unet->sinusoidal_embedding(time) - expected).abs().max().item<double>(), 1.2e-7);
  }
}

TEST(UNet, NoParameterAsksForAGradient) {
  const auto unet = load("sd2", at::kFloat);
  ASSERT_GT(unet->parameters().size(), 100U);
  for (const auto& parameter : unet->named_parameters())
    EXPECT_FALSE(parameter.value().requires_grad()) << parameter.key();
}

TEST(UNet, ASingleTokenContextIsAttendedToInFull) {
  // Two equal tokens share the attention, one has all of it: the same result by the general way and by the
  // short one.
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const auto unet = load("sd1", at::kDouble);
  const at::NoGradGuard no_grad;
  const at::Tensor token = golden.at("context").to(at::kDouble).narrow(1, 0, 1),
                   z = golden.at("z").to(at::kDouble);
  const at::Tensor single = unet->forward(z, 300, token);
  EXPECT_LE(test::relative_error(single, unet->forward(z, 300, token.repeat({1, 2, 1}))), 1e-13);
}

TEST(UNet, AnInputGradientCanBeTakenToo) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const auto unet = load("sd1", at::kDouble);
  const at::Tensor context = golden.at("context").to(at::kDouble);
  const at::Tensor direction = at::ones({1, 4, 8, 8}, at::kDouble);
  const at::Tensor z = golden.at("z").narrow(0, 0, 1).to(at::kDouble).requires_grad_();
  unet->forward(z, 501, context).sum().backward();
  const at::NoGradGuard no_grad;
  const double step = 1e-5;
  const double difference = (unet->forward(z + step * direction, 501, context).sum() -
                             unet->forward(z - step * direction, 501, context).sum())
                                .item<double>() /
                            (2 * step);
  EXPECT_NEAR((z.grad() * direction).sum().item<double>(), difference, 1e-6 * (1 + std::abs(difference)));
}

}  // namespace
}  // namespace dwgf
