

#include <cstdint>
#include <map>
#include <vector>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;
using test::relative_error;

struct Case {
  const char* like;
  at::ScalarType type;
  double tolerance() const { return type == at::kDouble ? 1e-11 : 1e-5; }
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.like << (c.type == at::kDouble ? " in float64" : " in float32");
}

class StableDiffusionParity : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    golden_ = test::read_all(test::data(std::string(GetParam().like) + ".safetensors"));
    for (auto& [name, tensor] : golden_) {
      if (tensor.scalar_type() == at::kHalf) tensor = tensor.to(GetParam().type);  // inputs
    }
    prior_ = load_stable_diffusion(test::data(GetParam().like),
                                   {.dtype = GetParam().type, .context = golden_.at("context")});
  }
  const at::Tensor& golden(const std::string& name) const { return golden_.at(name); }
  at::Tensor first_latent() const { return golden("z").narrow(0, 0, 1); }

  std::map<std::string, at::Tensor> golden_;
  std::unique_ptr<Prior> prior_;
};

TEST_P(StableDiffusionParity, PredictsTheNoise) {
  for (const int time : {999, 501, 1}) {
    at::Tensor expected = golden("unet." + std::to_string(time));
    if (test::schedule_of(*prior_).config().prediction == PredictionType::v_prediction) {
      expected = test::level_at(*prior_, time).signal * expected +
                 test::level_at(*prior_, time).noise * golden("z").to(at::kDouble);
    }
    EXPECT_LE(relative_error(prior_->noise(golden("z"), test::level_at(*prior_, time)), expected),
              GetParam().tolerance())
        << time;
  }
}

TEST_P(StableDiffusionParity, Decodes) {
  EXPECT_LE(relative_error(prior_->codec->decode(first_latent()), golden("decoded")), GetParam().tolerance());
}

TEST_P(StableDiffusionParity, PullsACotangentBack) {
  const auto decoded = prior_->codec->decode_vjp(first_latent());
  EXPECT_FALSE(decoded.value.requires_grad());
  EXPECT_LE(relative_error(decoded.value, golden("decoded")), GetParam().tolerance());
  const at::Tensor gradient = decoded.pull(golden("cotangent"));
  EXPECT_FALSE(gradient.requires_grad());
  EXPECT_LE(relative_error(gradient, golden("gradient")), GetParam().tolerance());
  EXPECT_THROW(decoded.pull(golden("cotangent")), InternalError);
}

TEST_P(StableDiffusionParity, Encodes) {
  const auto latents = prior_->codec->encode(golden("x"));
  EXPECT_LE(relative_error(latents.mean, golden("mean")), GetParam().tolerance());
  EXPECT_LE(relative_error(latents.std, golden("std")), GetParam().tolerance());
}

TEST_P(StableDiffusionParity, WorksAlikeInInferenceMode) {
  const at::Tensor x = prior_->codec->decode(first_latent());
  const auto outside = prior_->codec->decode_vjp(first_latent()).pull(golden("cotangent"));
  const c10::InferenceMode inference;
  const at::Tensor z = first_latent() * 1.0;
  const auto loaded = load_stable_diffusion(test::data(GetParam().like), {.dtype = GetParam().type});
  EXPECT_TRUE(at::equal(loaded->codec->decode(z), x));
  EXPECT_TRUE(at::equal(loaded->codec->decode_vjp(z).pull(golden("cotangent") * 1.0), outside));
}

INSTANTIATE_TEST_SUITE_P(Models, StableDiffusionParity,
                         ::testing::Values(Case{"sd1", at::kFloat}, Case{"sd1", at::kDouble},
                                           Case{"sd2", at::kFloat}, Case{"sd2", at::kDouble}));

TEST(StableDiffusion, NoisePullBackAgreesWithFiniteDifferences) {
  for (const char* like : {"sd1", "sd2"}) {
    const auto prior = load_stable_diffusion(test::data(like), {.dtype = at::kDouble});
    const at::Tensor z =
        test::read_all(test::data(std::string(like) + ".safetensors")).at("z").to(at::kDouble);
    const at::Tensor cotangent = (1.3 * at::arange(z.numel(), at::kDouble)).cos().view_as(z);
    const auto [noise, pull] = prior->noise_vjp(z, test::level_at(*prior, 400));
    EXPECT_LE(relative_error(noise, prior->noise(z, test::level_at(*prior, 400))), 1e-12);
    const at::Tensor gradient = pull(cotangent);
    EXPECT_FALSE(gradient.requires_grad());
    EXPECT_THROW(pull(cotangent), InternalError);
    const double step = 1e-5;
    for (const std::int64_t entry : {0, 99, 300}) {
      at::Tensor change = at::zeros_like(z);
      change.view(-1)[entry] = step;
      const at::Tensor difference = (prior->noise(z + change, test::level_at(*prior, 400)) -
                                     prior->noise(z - change, test::level_at(*prior, 400))) /
                                    (2 * step);
      const double expected = (difference * cotangent).sum().item<double>();
      EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(), expected, 1e-6 * (1 + std::abs(expected)));
    }
  }
}

TEST(StableDiffusion, EncodersPullBackAgreesWithFiniteDifferences) {
  const auto prior = load_stable_diffusion(test::data("sd1"), {.dtype = at::kDouble});
  const at::Tensor x = test::read_all(test::data("sd1.safetensors")).at("x").to(at::kDouble);
  const auto [mean, pull] = prior->codec->encode_vjp(x);
  EXPECT_TRUE(at::equal(mean, prior->codec->encode(x).mean));
  const at::Tensor cotangent = (1.3 * at::arange(mean.numel(), at::kDouble)).cos().view_as(mean);
  const at::Tensor gradient = pull(cotangent);
  EXPECT_FALSE(gradient.requires_grad());
  EXPECT_THROW(pull(cotangent), InternalError);
  const double step = 1e-5;
  for (const std::int64_t entry : {0, 777, 3000}) {
    at::Tensor change = at::zeros_like(x);
    change.view(-1)[entry] = step;
    const at::Tensor difference =
        (prior->codec->encode(x + change).mean - prior->codec->encode(x - change).mean) / (2 * step);
    const double expected = (difference * cotangent).sum().item<double>();
    EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(), expected, 1e-6 * (1 + std::abs(expected)));
  }
}

TEST(StableDiffusion, PullBackAgreesWithFiniteDifferences) {
  const auto prior = load_stable_diffusion(test::data("sd1"), {.dtype = at::kDouble});
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const at::Tensor z = golden.at("z").to(at::kDouble).narrow(0, 0, 1),
                   cotangent = golden.at("cotangent").to(at::kDouble);
  const at::Tensor gradient = prior->codec->decode_vjp(z).pull(cotangent);
  const double step = 1e-5;
  for (const std::int64_t entry : {0, 37, 100, 255}) {
    at::Tensor change = at::zeros_like(z);
    change.view(-1)[entry] = step;
    const at::Tensor difference =
        (prior->codec->decode(z + change) - prior->codec->decode(z - change)) / (2 * step);
    const double expected = (difference * cotangent).sum().item<double>();
    EXPECT_NEAR(gradient.view(-1)[entry].item<double>(), expected, 1e-6 * (1 + std::abs(expected)));
  }
}

TEST(StableDiffusion, DescribesItself) {
  const auto prior = load_stable_diffusion(test::data("sd2"), {});
  EXPECT_EQ(prior->geometry.factor, 4);
  EXPECT_EQ(prior->geometry.image_channels, 3);
  EXPECT_EQ(prior->geometry.latent_channels, 4);
  EXPECT_EQ(test::schedule_of(*prior).config().prediction, PredictionType::v_prediction);
  EXPECT_EQ(test::schedule_of(*prior).config().steps_offset, 1);
  EXPECT_EQ(prior->sha256.size(), 64U);
  EXPECT_NE(prior->sha256, load_stable_diffusion(test::data("sd1"), {})->sha256);
  EXPECT_EQ(prior->sha256, load_stable_diffusion(test::data("sd2"), {.dtype = at::kDouble})->sha256);
}

/// A copy of sd1, parts of which a test replaces.
class DamagedDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(test::data("sd1"), root(), fs::copy_options::recursive);
    weights_ = test::read_all(root() / "unet" / kFile);
  }
  const fs::path& root() const { return folder_.path(); }
  void write_unet() { test::write_bytes(root() / "unet" / kFile, test::safetensors_bytes(weights_)); }
  template <class Expected>
  std::string refused() const {
    return test::message_of<Expected>([&] { (void)load_stable_diffusion(root().string(), {}); });
  }
  static void expect_in(const std::string& message, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' not in: " << message;
  }

  static constexpr const char* kFile = "diffusion_pytorch_model.safetensors";
  test::TemporaryFolder folder_;
  std::map<std::string, at::Tensor> weights_;
};

TEST_F(DamagedDirectory, IntactItLoadsInAnyStoredType) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const auto noise = [&] {
    const auto prior = load_stable_diffusion(root().string(), {});
    return prior->noise(golden.at("z").to(at::kFloat), test::level_at(*prior, 501));
  };
  const at::Tensor expected = noise();
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (auto& [name, tensor] : weights_) tensor = tensor.to(type);
    write_unet();
    EXPECT_TRUE(at::equal(noise(), expected));
  }
  for (auto& [name, tensor] : weights_) tensor = tensor.to(at::kBFloat16);
  write_unet();
  EXPECT_LE(relative_error(noise(), expected), 0.1);
}

TEST_F(DamagedDirectory, MissingFilesAreNamed) {
  EXPECT_THROW(load_stable_diffusion((root() / "nowhere").string(), {}), NotFoundError);
  for (const char* name :
       {"unet/config.json", "vae/config.json", "scheduler/scheduler_config.json",
        "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"}) {
    fs::rename(root() / name, root() / "away");
    expect_in(refused<NotFoundError>(), {name});
    fs::rename(root() / "away", root() / name);
  }
  fs::remove_all(root() / "vae");
  expect_in(refused<NotFoundError>(), {"vae"});
}

TEST_F(DamagedDirectory, MissingUnexpectedAndWrongShapesAreListed) {
  const at::Tensor kept = weights_.at("conv_in.weight");
  weights_.erase("conv_in.weight");
  weights_["conv_middle.weight"] = kept;
  weights_["conv_out.bias"] = at::zeros({5}, at::kHalf);
  write_unet();
  expect_in(refused<DataError>(), {"unet", "1 missing: conv_in.weight", "1 unexpected: conv_middle.weight",
                                   "1 of another shape: conv_out.bias is [5], not [4]"});
  for (int i = 0; i < 9; ++i) weights_["extra." + std::to_string(i)] = kept;
  write_unet();
  const auto message = refused<DataError>();
  expect_in(message, {"10 unexpected", "..."});
  EXPECT_EQ(message.find("extra.8"), std::string::npos);
}

TEST_F(DamagedDirectory, IntegersAreNotWeights) {
  weights_["conv_out.bias"] = at::zeros({4}, at::kLong);
  write_unet();
  expect_in(refused<DataError>(), {"conv_out.bias", "I64"});
}

TEST_F(DamagedDirectory, AContextOfAnotherModelIsRefused) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{1, 3, 9}, {2, 3, 8}, {3, 8}, {1, 0, 8}}) {
    const auto message = test::message_of<DataError>(
        [&] { (void)load_stable_diffusion(root().string(), {.context = at::zeros(shape)}); });
    expect_in(message, {"[1, tokens, 8]"});
  }
}

TEST_F(DamagedDirectory, WrongArgumentsAreRefused) {
  const auto prior = load_stable_diffusion(root().string(), {});
  EXPECT_THROW(prior->codec->encode(at::zeros({1, 4, 32, 32})), InternalError);
  EXPECT_THROW(prior->codec->decode(at::zeros({1, 3, 8, 8})), InternalError);
  EXPECT_THROW(prior->codec->decode(at::zeros({1, 4, 8, 8}, at::kDouble)), InternalError);
  EXPECT_THROW(test::level_at(*prior, 1000), InternalError);
  EXPECT_THROW(prior->codec->encode(at::zeros({1, 3, 30, 32})), DataError);
}

TEST_F(DamagedDirectory, ConfigurationsThatDoNotBelongToTheWeightsAllocateNothing) {
  auto config = nlohmann::json::parse(test::read_bytes(root() / "unet" / "config.json"));
  config["block_out_channels"] = {16384, 16384};
  config["layers_per_block"] = 64;
  test::write_bytes(root() / "unet" / "config.json", config.dump());
  expect_in(refused<DataError>(), {"missing", "of another shape"});
}

TEST_F(DamagedDirectory, UNetAndAutoencoderMustAgree) {
  auto config = nlohmann::json::parse(test::read_bytes(root() / "vae" / "config.json"));
  config["latent_channels"] = 8;
  test::write_bytes(root() / "vae" / "config.json", config.dump());
  expect_in(refused<DataError>(), {"latent channels"});
}

}  // namespace
}  // namespace dwgf
