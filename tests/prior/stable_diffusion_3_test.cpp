#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion_3.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

#include "prior/models/velocity_denoiser.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;
using test::relative_error;

constexpr std::pair<const char*, double> kTimes[] = {
    {"1000", 1000.0}, {"502", 501.5}, {"9", 8.928571701049805}};

struct Case {
  const char* like;
  at::ScalarType type;
  double tolerance() const { return type == at::kDouble ? 1e-11 : 1e-5; }
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.like << (c.type == at::kDouble ? " in float64" : " in float32");
}

class StableDiffusion3Parity : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    golden_ = test::read_all(test::data(std::string(GetParam().like) + ".safetensors"));
    for (auto& [name, tensor] : golden_) {
      if (tensor.scalar_type() == at::kHalf) tensor = tensor.to(GetParam().type);  // inputs
    }
    prior_ =
        load_prior(test::data(GetParam().like), {.dtype = GetParam().type, .context = golden_.at("context")});
    prior_->conditioning.pooled = golden_.at("pooled");
  }
  const at::Tensor& golden(const std::string& name) const { return golden_.at(name); }
  at::Tensor first_latent() const { return golden("z").narrow(0, 0, 1); }
  /// A level of this time, which a network is asked at whatever the scheduler does.
  static Level at_time(double time) { return {1.0 - time / 1000.0, time / 1000.0, time}; }

  std::map<std::string, at::Tensor> golden_;
  std::unique_ptr<Prior> prior_;
};

TEST_P(StableDiffusion3Parity, PredictsTheVelocity) {
  const at::Tensor z = golden("z").to(at::kDouble);
  for (const auto& [name, time] : kTimes) {
    const Level level = at_time(time);
    const at::Tensor velocity = golden(formatted("velocity.{}", name));
    EXPECT_LE(relative_error(prior_->noise(golden("z"), level), z + level.signal * velocity),
              GetParam().tolerance())
        << time;
    EXPECT_LE(relative_error(prior_->clean(golden("z"), level), z - level.noise * velocity),
              GetParam().tolerance())
        << time;
  }
}

TEST_P(StableDiffusion3Parity, PositionsAreThoseOfTheMiddle) {
  const at::Tensor z = golden("z_wide").to(at::kDouble);
  const Level level = at_time(501.5);
  EXPECT_LE(relative_error(prior_->clean(golden("z_wide"), level), z - level.noise * golden("velocity.wide")),
            GetParam().tolerance());
}

TEST_P(StableDiffusion3Parity, PullsACotangentBackThroughTheNetwork) {
  const Level level = at_time(501.5);
  const Vjp noise = prior_->noise_vjp(golden("z"), level);
  EXPECT_LE(relative_error(noise.value, golden("z").to(at::kDouble) + level.signal * golden("velocity.502")),
            GetParam().tolerance());
  const at::Tensor gradient = noise.pull(golden("pull"));
  EXPECT_FALSE(gradient.requires_grad());
  EXPECT_LE(
      relative_error(gradient, golden("pull").to(at::kDouble) + level.signal * golden("velocity.gradient")),
      GetParam().tolerance());
  EXPECT_THROW(noise.pull(golden("pull")), InternalError);
}

TEST_P(StableDiffusion3Parity, DecodesAndEncodes) {
  const Vjp decoded = prior_->codec->decode_vjp(first_latent());
  EXPECT_LE(relative_error(decoded.value, golden("decoded")), GetParam().tolerance());
  EXPECT_LE(relative_error(decoded.pull(golden("cotangent")), golden("gradient")), GetParam().tolerance());
  const LatentDistribution code = prior_->codec->encode(golden("x"));
  EXPECT_LE(relative_error(code.mean, golden("mean")), GetParam().tolerance());
  EXPECT_LE(relative_error(code.std, golden("std")), GetParam().tolerance());
}

INSTANTIATE_TEST_SUITE_P(Models, StableDiffusion3Parity,
                         ::testing::Values(Case{"sd3", at::kFloat}, Case{"sd3", at::kDouble},
                                           Case{"sd35", at::kFloat}, Case{"sd35", at::kDouble}));

TEST(StableDiffusion3, DescribesItself) {
  const auto prior = load_prior(test::data("sd35"), {});
  EXPECT_EQ(prior->geometry.canvas(20, 60), (Canvas{24, 64, 6, 16}));
  EXPECT_THROW((void)prior->geometry.canvas(65, 8), DataError);
  EXPECT_EQ(dynamic_cast<const FlowMatchingPath&>(*prior->path).config().shift, 3.0);
  EXPECT_EQ(prior->sha256.size(), 64U);
  EXPECT_NE(prior->sha256, load_prior(test::data("sd3"))->sha256);
  EXPECT_GT(prior->step_bytes(1, 8, 8), 0U);
  // Without text encoders, as in training where the text was left out.
  EXPECT_EQ(prior->conditioning.tokens.sizes(), (std::vector<std::int64_t>{1, 333, 24}));
  EXPECT_TRUE(prior->conditioning.tokens.eq(0).all().item<bool>());
  EXPECT_TRUE(prior->conditioning.pooled.eq(0).all().item<bool>());
  ASSERT_EQ(prior->warnings.size(), 1U);
  EXPECT_NE(prior->warnings[0].find("text_encoder/"), std::string::npos) << prior->warnings[0];
}

/// sd3 with text encoders and tokenizers.
class StableDiffusion3Text : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(test::data("sd3"), root(), fs::copy_options::recursive);
    test::copy_text("sdxl", root());
    fs::copy(test::data("sd3_text"), root(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  const fs::path& root() const { return folder_.path(); }
  std::string refused(const PriorOptions& options = {}) const {
    return test::message_of<DataError>([&] { (void)load_prior(root().string(), options); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(StableDiffusion3Text, PromptsAreWhatThePipelineMakesOfThemWithoutT5) {
  const auto golden = test::read_all(test::data("sd3_text.safetensors"));
  for (const auto& [name, prompt] : std::map<std::string, std::string>{
           {"prompt", "a Photograph of an ASTRONAUT's caf\xc3\xa9!"}, {"empty", ""}}) {
    for (const auto& [type, bound] : {std::pair{at::kDouble, 1e-11}, {at::kFloat, 1e-5}}) {
      const auto prior = load_prior(root().string(), {.dtype = type, .prompt = prompt});
      const at::Tensor& tokens = prior->conditioning.tokens;
      ASSERT_EQ(tokens.sizes(), (std::vector<std::int64_t>{1, 333, 24}));
      EXPECT_LE(relative_error(tokens.narrow(1, 0, 77), golden.at(name + ".tokens")), bound);
      EXPECT_TRUE(tokens.narrow(1, 77, 256).eq(0).all().item<bool>());
      EXPECT_LE(relative_error(prior->conditioning.pooled, golden.at(name + ".pooled")), bound);
      EXPECT_TRUE(prior->warnings.empty());
    }
  }
}

TEST_F(StableDiffusion3Text, GuidanceGoesFromTheNegativePromptToThePrompt) {
  const auto load = [&](const std::string& prompt, const std::string& negative, double guidance) {
    return load_prior(
        root().string(),
        {.dtype = at::kDouble, .prompt = prompt, .guidance = guidance, .negative_prompt = negative});
  };
  const auto towards = load("a red shirt", "", 1.0), away = load("rain", "", 1.0),
             both = load("a red shirt", "rain", 4.5);
  const at::Tensor z = test::read_all(test::data("sd3.safetensors")).at("z").to(at::kDouble);
  const Level level = both->path->levels(9)[4];
  const at::Tensor from = away->noise(z, level), to = towards->noise(z, level);
  EXPECT_GT(relative_error(from, to), 1e-3);
  EXPECT_LE(relative_error(both->noise(z, level), from + 4.5 * (to - from)), 1e-12);
  const Vjp product = both->noise_vjp(z, level);
  EXPECT_LE(relative_error(product.value, both->noise(z, level)), 1e-12);
  const at::Tensor expected =
      4.5 * towards->noise_vjp(z, level).pull(z) - 3.5 * away->noise_vjp(z, level).pull(z);
  EXPECT_LE(relative_error(product.pull(z), expected), 1e-12);
}

TEST_F(StableDiffusion3Text, EncodersOfOtherModelsAreRefused) {
  const auto first = test::data("text") / "sdxl" / "text_encoder";  // without a projection
  fs::copy(first, root() / "text_encoder",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  EXPECT_NE(refused().find("project to 0 and 10 channels"), std::string::npos) << refused();
  fs::remove_all(root() / "text_encoder_2");
  const std::string message = test::message_of<NotFoundError>([&] { (void)load_prior(root().string(), {}); });
  EXPECT_NE(message.find("text_encoder_2"), std::string::npos) << message;
}

TEST(StableDiffusion3, SeesTheCleanLatentInNoiseAlone) {
  for (const char* like : {"sd3", "sd35"}) {
    const auto prior = load_prior(test::data(like), {.dtype = at::kDouble});
    const auto golden = test::read_all(test::data(std::string(like) + ".safetensors"));
    const at::Tensor z = golden.at("z").to(at::kDouble);
    const Level noise{0.0, 1.0, 1000.0}, almost{1e-6, 1.0 - 1e-6, 1000.0};
    EXPECT_TRUE(at::equal(prior->noise(z, noise), z));
    EXPECT_LE(relative_error(prior->clean(z, almost), prior->clean(z, noise)), 1e-5);
  }
}

TEST(StableDiffusion3, HalfPrecisionIsCloseAndItsCallsAreFinite) {
  for (const char* like : {"sd3", "sd35"}) {
    const auto golden = test::read_all(test::data(std::string(like) + ".safetensors"));
    const at::Tensor z = golden.at("z").to(at::kFloat), pull = golden.at("pull").to(at::kFloat);
    const auto wide = load_prior(test::data(like), {});
    const Level level = wide->path->levels(9)[3];
    const Vjp expected = wide->noise_vjp(z, level);
    for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
      const auto half = load_prior(test::data(like), {.unet_type = type, .autoencoder_type = type});
      const Vjp found = half->noise_vjp(z, level);
      EXPECT_EQ(found.value.scalar_type(), at::kFloat);
      EXPECT_LE(relative_error(found.value, expected.value), 0.03) << like;
      EXPECT_LE(relative_error(half->noise(z, level), expected.value), 0.03) << like;
      EXPECT_LE(relative_error(found.pull(1e-6 * pull), 1e-6 * wide->noise_vjp(z, level).pull(pull)), 0.1)
          << like;
      EXPECT_EQ(half->retries->total(), 0);
    }
  }
}

/// A copy of sd35, parts of which a test replaces.
class DamagedStableDiffusion3 : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy(test::data("sd35"), root(), fs::copy_options::recursive); }
  const fs::path& root() const { return folder_.path(); }
  void change(const std::string& file, const std::string& key, const nlohmann::json& value) const {
    auto config = nlohmann::json::parse(test::read_bytes(root() / file));
    config[key] = value;
    test::write_bytes(root() / file, config.dump());
  }
  template <class Expected>
  void expect_refused(std::initializer_list<const char*> words, const PriorOptions& options = {}) const {
    const std::string message =
        test::message_of<Expected>([&] { (void)load_prior(root().string(), options); });
    for (const char* word : words)
      EXPECT_NE(message.find(word), std::string::npos) << "'" << word << "' not in: " << message;
  }
  test::TemporaryFolder folder_;
};

TEST_F(DamagedStableDiffusion3, EveryUnsupportedKeyIsRefusedByName) {
  const std::string original = test::read_bytes(root() / "transformer/config.json");
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, nlohmann::json>>{{"qk_norm", "layer_norm"},
                                                           {"out_channels", 32},
                                                           {"caption_projection_dim", 24},
                                                           {"dual_attention_layers", {0, 3}},
                                                           {"dual_attention_layers", "all"},
                                                           {"pos_embed_max_size", 0},
                                                           {"num_layers", 0},
                                                           {"num_attention_heads", 10000},
                                                           {"patch_size", -1}}) {
    change("transformer/config.json", key, value);
    expect_refused<DataError>({"transformer/config.json", key});
    test::write_bytes(root() / "transformer/config.json", original);
  }
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, nlohmann::json>>{{"use_dynamic_shifting", true},
                                                           {"invert_sigmas", true},
                                                           {"shift_terminal", 0.1},
                                                           {"use_karras_sigmas", true},
                                                           {"use_exponential_sigmas", true},
                                                           {"use_beta_sigmas", true},
                                                           {"stochastic_sampling", true},
                                                           {"shift", 0.0},
                                                           {"num_train_timesteps", 1}}) {
    const std::string file = "scheduler/scheduler_config.json";
    const std::string kept = test::read_bytes(root() / file);
    change(file, key, value);
    expect_refused<DataError>({"scheduler_config.json", key});
    test::write_bytes(root() / file, kept);
  }
}

TEST_F(DamagedStableDiffusion3, ConfigurationsThatDoNotBelongToTheWeightsAllocateNothing) {
  change("transformer/config.json", "num_layers", 60);
  change("transformer/config.json", "joint_attention_dim", 16384);
  expect_refused<DataError>({"missing", "of another shape"});
}

TEST_F(DamagedStableDiffusion3, PartsOfOtherModelsAreNamed) {
  expect_refused<DataError>({"[1, tokens, 24]"}, {.context = at::zeros({1, 3, 9})});
  expect_refused<NotFoundError>({"text_encoder", "tokenizer_2/"}, {.prompt = "a cat"});
  change("vae/config.json", "latent_channels", 4);
  expect_refused<DataError>({"latent channels"});
  fs::remove_all(root() / "vae");
  expect_refused<NotFoundError>({"vae"});
}

TEST_F(DamagedStableDiffusion3, OtherModelsAreCalledByTheirNames) {
  for (const auto& [found, name] : {std::pair{"FluxTransformer2DModel", "FLUX.1"},
                                    {"PixArtTransformer2DModel", "PixArt"},
                                    {"SanaTransformer2DModel", "Sana"},
                                    {"ZImageTransformer2DModel", "Z-Image"},
                                    {"NobodysTransformer", "another model"}}) {
    change("transformer/config.json", "_class_name", found);
    expect_refused<DataError>({name, found, "not supported", "3.5"});
  }
}

}  // namespace
}  // namespace dwgf
