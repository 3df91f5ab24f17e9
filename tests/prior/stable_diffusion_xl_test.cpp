#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion_xl.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrompt = "a Photograph of an ASTRONAUT's café!";  // as in tools/make_text_golden.py

/// The tiny directory of tools/make_prior_golden.py, with the text encoders of tools/make_text_golden.py.
class StableDiffusionXl : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(test::data("sdxl"), root(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    test::copy_text("sdxl", root());
    golden_ = test::read_all(test::data("sdxl.safetensors"));
    text_ = test::read_all(test::data("text") / "encoder.safetensors");
  }
  const fs::path& root() const { return folder_.path(); }
  std::unique_ptr<Prior> load(const PriorOptions& options = {}) const {
    EXPECT_EQ(family_of(root().string()).name, std::string("stable_diffusion_xl"));
    return load_prior(root().string(), options);
  }
  at::Tensor golden(const std::string& name, at::ScalarType type = at::kDouble) const {
    return golden_.at(name).to(type);
  }
  /// What the goldens are conditioned on.
  Conditioning told(at::ScalarType type) const {
    Conditioning given{.tokens = golden("context", type), .pooled = golden("pooled", type)};
    given.unconditional = std::make_shared<Conditioning>(
        Conditioning{.tokens = golden("negative", type), .pooled = golden("negative_pooled", type)});
    return given;
  }
  void configure(const char* name, const char* key, const nlohmann::json& value) const {
    auto config = nlohmann::json::parse(test::read_bytes(root() / name));
    config[key] = value;
    test::write_bytes(root() / name, config.dump());
  }
  template <class Expected>
  void expect_refused(const PriorOptions& options, std::initializer_list<const char*> parts) const {
    const auto message = test::message_of<Expected>([&] { (void)load(options); });
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' not in: " << message;
  }

  test::TemporaryFolder folder_;
  std::map<std::string, at::Tensor> golden_, text_;
};

struct Accuracy {
  at::ScalarType type;
  double bound;
};
constexpr Accuracy kAccuracies[] = {{at::kDouble, 1e-11}, {at::kFloat, 1e-5}};

TEST_F(StableDiffusionXl, NoiseEqualsDiffusers) {
  for (const auto& [type, bound] : kAccuracies) {
    const auto prior = load({.dtype = type});
    const at::Tensor z = golden("z", type);
    for (const std::int64_t time : {999, 501, 1}) {
      const at::Tensor noise = prior->denoiser->noise(z, test::level_at(*prior, time), told(type));
      EXPECT_LE(test::relative_error(noise, golden("unet." + std::to_string(time))), bound);
    }
    Conditioning given = told(type);
    given.sizes = golden("sizes");
    EXPECT_LE(test::relative_error(prior->denoiser->noise(z, test::level_at(*prior, 501), given),
                                   golden("unet.sizes")),
              bound);
  }
}

TEST_F(StableDiffusionXl, GuidanceAndGradientsEqualDiffusers) {
  for (const auto& [type, bound] : kAccuracies) {
    const auto prior = load({.dtype = type});
    const at::Tensor z = golden("z", type), cotangent = golden("noise_cotangent", type);
    const Level level = test::level_at(*prior, 501);
    Conditioning given = told(type);
    const Vjp plain = prior->denoiser->noise_vjp(z, level, given);
    EXPECT_LE(test::relative_error(plain.value, golden("unet.501")), bound);
    EXPECT_LE(test::relative_error(plain.pull(cotangent), golden("unet.gradient")), bound);
    given.guidance = 5.0;
    const Vjp guided = prior->denoiser->noise_vjp(z, level, given);
    EXPECT_LE(test::relative_error(guided.value, golden("guided")), bound);
    EXPECT_LE(test::relative_error(guided.pull(cotangent), golden("guided.gradient")), bound);
    EXPECT_LE(test::relative_error(prior->denoiser->noise(z, level, given), golden("guided")), bound);
  }
}

TEST_F(StableDiffusionXl, AGuidedCallIsTwoThatAreNot) {
  const auto prior = load({.dtype = at::kDouble});
  const Level level = test::level_at(*prior, 501);
  for (const std::int64_t batch : {1, 2, 3}) {
    const at::Tensor z = at::cat({golden("z"), -golden("z")}).narrow(0, 0, batch);
    Conditioning given = told(at::kDouble);
    const at::Tensor with = prior->denoiser->noise(z, level, given),
                     without = prior->denoiser->noise(z, level, *given.unconditional);
    given.guidance = 3.0;
    EXPECT_LE(test::relative_error(prior->denoiser->noise(z, level, given), without + 3.0 * (with - without)),
              1e-12);
  }
}

TEST_F(StableDiffusionXl, PromptsThatAreCutShortAreSaid) {
  std::string prompt;
  for (int i = 0; i < 75; ++i) prompt += "a ";
  const auto says = [](const Prior& prior) {
    return std::ranges::any_of(prior.warnings, [](const std::string& text) {
      return text.find("longer than the text encoder reads") != std::string::npos;
    });
  };
  EXPECT_FALSE(says(*load({.prompt = prompt})));
  EXPECT_TRUE(says(*load({.prompt = prompt + "b"})));
  EXPECT_TRUE(says(*load({.guidance = 2.0, .negative_prompt = prompt + "b"})));
}

TEST_F(StableDiffusionXl, CodecEqualsDiffusers) {
  for (const auto& [type, bound] : kAccuracies) {
    const auto prior = load({.dtype = type});
    const at::Tensor z = golden("z", type).narrow(0, 0, 1);
    const LatentDistribution code = prior->codec->encode(golden("x", type));
    EXPECT_LE(test::relative_error(code.mean, golden("mean")), bound);
    EXPECT_LE(test::relative_error(code.std, golden("std")), bound);
    const Vjp decoded = prior->codec->decode_vjp(z);
    EXPECT_LE(test::relative_error(decoded.value, golden("decoded")), bound);
    EXPECT_LE(test::relative_error(decoded.pull(golden("cotangent", type)), golden("gradient")), bound);
  }
}

TEST_F(StableDiffusionXl, PromptsEqualTransformers) {
  configure("model_index.json", "force_zeros_for_empty_prompt", false);
  for (const auto& [type, bound] : kAccuracies) {
    for (const auto& [name, prompt] :
         std::map<std::string, std::string>{{"sdxl", kPrompt}, {"sdxl.empty", ""}}) {
      const Conditioning given = load({.dtype = type, .prompt = prompt})->conditioning;
      EXPECT_LE(test::relative_error(given.tokens, text_.at(name + ".context")), bound);
      EXPECT_LE(test::relative_error(given.pooled, text_.at(name + ".pooled")), bound);
      EXPECT_FALSE(given.unconditional);
    }
  }
}

TEST_F(StableDiffusionXl, AnEmptyPromptIsZerosUnlessThePipelineSaysOtherwise) {
  const Conditioning empty = load({.dtype = at::kDouble})->conditioning;
  EXPECT_EQ(empty.tokens.sizes(), (std::vector<std::int64_t>{1, 77, 20}));
  EXPECT_TRUE(at::equal(empty.tokens, at::zeros_like(empty.tokens)));
  EXPECT_TRUE(at::equal(empty.pooled, at::zeros({1, 10}, at::kDouble)));
  const Conditioning guided = load({.dtype = at::kDouble, .prompt = kPrompt, .guidance = 3.0})->conditioning;
  EXPECT_TRUE(at::equal(guided.unconditional->tokens, empty.tokens));
  EXPECT_LE(test::relative_error(guided.tokens, text_.at("sdxl.context")), 1e-11);
  fs::remove(root() / "model_index.json");
  EXPECT_TRUE(at::equal(load({.dtype = at::kDouble})->conditioning.tokens, empty.tokens));
  // Then nothing needs to be read, and one token of zeros tells as much as many.
  const at::Tensor z = golden("z");
  const auto with = load({.dtype = at::kDouble});
  for (const char* name : {"text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"})
    fs::remove_all(root() / name);
  const auto without = load({.dtype = at::kDouble});
  const Level level = test::level_at(*with, 501);
  EXPECT_LE(test::relative_error(without->noise(z, level), with->noise(z, level)), 1e-13);
}

TEST_F(StableDiffusionXl, AnImageIsToldItsOwnPromptAndSize) {
  const auto prior =
      load({.dtype = at::kDouble, .prompt = "a shirt", .guidance = 2.0, .negative_prompt = "a shoe"});
  const Conditioner& conditioner = *prior->conditioner;
  EXPECT_TRUE(conditioner.reads_prompts());
  const Conditioning own = conditioner.of(kPrompt, 30, 21);
  EXPECT_LE(test::relative_error(own.tokens, text_.at("sdxl.context")), 1e-11);
  EXPECT_LE(test::relative_error(own.pooled, text_.at("sdxl.pooled")), 1e-11);
  const at::Tensor sizes = at::tensor({30.0, 21.0, 0.0, 0.0, 32.0, 24.0}).unsqueeze(0);
  EXPECT_TRUE(at::equal(own.sizes.to(at::kDouble), sizes.to(at::kDouble)));
  EXPECT_TRUE(at::equal(own.unconditional->sizes, own.sizes));
  EXPECT_EQ(own.guidance, 2.0);
  const Conditioning of_job = conditioner.of(std::nullopt, 32, 32);
  EXPECT_TRUE(at::equal(of_job.tokens, prior->conditioning.tokens));
  EXPECT_TRUE(at::equal(of_job.unconditional->pooled, prior->conditioning.unconditional->pooled));
  // The sizes of an image that fills its canvas are those that are told where none are given.
  const at::Tensor z = golden("z");
  const Level level = test::level_at(*prior, 501);
  EXPECT_TRUE(at::equal(prior->denoiser->noise(z, level, of_job), prior->noise(z, level)));
  EXPECT_FALSE(at::equal(prior->denoiser->noise(z, level, own), prior->noise(z, level)));
  for (int i = 0; i < 40; ++i) (void)conditioner.of(std::to_string(i), 32, 32);
  EXPECT_TRUE(at::equal(conditioner.of(kPrompt, 30, 21).tokens, own.tokens));
  EXPECT_THROW((void)conditioner.of("\xff", 32, 32), UsageError);
}

TEST_F(StableDiffusionXl, AGuidedSampleDoesNotDependOnItsNeighbours) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const auto prior = load({.dtype = type == at::kDouble ? at::kDouble : at::kFloat, .unet_type = type});
    const at::ScalarType own = prior->options.dtype().toScalarType();
    Conditioning given = told(own);
    given.guidance = 4.0;
    const at::Tensor z = golden("z", own);
    const Level level = test::level_at(*prior, 501);
    const at::Tensor both = prior->denoiser->noise(z, level, given);
    const at::Tensor other = prior->denoiser->noise(at::stack({z[0], -z[1]}), level, given);
    EXPECT_TRUE(at::equal(both[0], other[0]));
    EXPECT_FALSE(at::equal(both[1], other[1]));
  }
}

TEST_F(StableDiffusionXl, AnAutoencoderThatAsksForItComputesInFloat32) {
  const auto wide = load({});
  const auto half = load({.autoencoder_type = at::kBFloat16});
  const at::Tensor z = golden("z", at::kFloat);
  EXPECT_TRUE(at::equal(half->codec->decode(z), wide->codec->decode(z)));
  EXPECT_TRUE(std::ranges::any_of(half->warnings, [](const std::string& text) {
    return text.find("force_upcast") != std::string::npos;
  }));
  configure("vae/config.json", "force_upcast", false);
  EXPECT_FALSE(
      at::equal(load({.autoencoder_type = at::kBFloat16})->codec->decode(z), wide->codec->decode(z)));
}

TEST_F(StableDiffusionXl, WhatIsMissingIsNamed) {
  for (const char* name : {"text_encoder_2", "text_encoder", "tokenizer_2", "text_encoder_2/config.json",
                           "text_encoder_2/model.safetensors"}) {
    fs::rename(root() / name, root() / "away");
    expect_refused<NotFoundError>({.prompt = "a"}, {name});
    fs::rename(root() / "away", root() / name);
  }
  fs::remove_all(root() / "text_encoder");
  fs::remove_all(root() / "text_encoder_2");
  expect_refused<NotFoundError>({.prompt = "a"}, {"text_encoder", "two text encoders"});
  expect_refused<UsageError>({.guidance = 2.0}, {"guidance = 2", "text encoder"});
}

TEST_F(StableDiffusionXl, WhatDoesNotBelongTogetherIsRefused) {
  const auto refused = [&](const char* file, const char* key, const nlohmann::json& value,
                           std::initializer_list<const char*> parts) {
    const std::string intact = test::read_bytes(root() / file);
    configure(file, key, value);
    expect_refused<DataError>({.prompt = "a"}, parts);
    test::write_bytes(root() / file, intact);
  };
  refused("text_encoder_2/config.json", "projection_dim", 12,
          {"text_encoder_2", "12", "projection_dim", "10"});
  refused("text_encoder_2/config.json", "architectures", {"CLIPTextModel"}, {"CLIPTextModelWithProjection"});
  refused("text_encoder/config.json", "hidden_size", 16, {"28 channels", "cross_attention_dim"});
  refused("unet/config.json", "projection_class_embeddings_input_dim", 48,
          {"projection_class_embeddings_input_dim", "48"});
  refused("unet/config.json", "addition_time_embed_dim", 7, {"addition_time_embed_dim", "even"});
  refused("unet/config.json", "projection_class_embeddings_input_dim", 60, {"projection_dim", "12"});
  refused("model_index.json", "requires_aesthetics_score", true, {"model_index.json", "refiner"});
  refused("model_index.json", "force_zeros_for_empty_prompt", "no", {"force_zeros_for_empty_prompt"});
  expect_refused<UsageError>({.context = at::zeros({1, 1, 20}), .guidance = 2.0}, {"guidance = 2"});
  expect_refused<UsageError>({.context = at::zeros({1, 1, 20}), .prompt = "a"}, {"one of them"});
  expect_refused<DataError>({.context = at::zeros({1, 1, 8})}, {"[1, tokens, 20]"});
}

TEST_F(StableDiffusionXl, OtherConditioningIsRefused) {
  const auto prior = load({.dtype = at::kDouble});
  const at::Tensor z = golden("z");
  const Level level = test::level_at(*prior, 501);
  for (const auto& change : std::vector<std::function<void(Conditioning&)>>{
           [](Conditioning& given) { given.pooled = at::Tensor(); },
           [](Conditioning& given) {
             given.pooled = at::zeros({1, 9}, at::kDouble);
           },
           [](Conditioning& given) {
             given.sizes = at::zeros({1, 5});
           },
           [](Conditioning& given) {
             given.tokens = at::zeros({1, 3, 8}, at::kDouble);
           },
           [](Conditioning& given) { given.guidance = 2.0, given.unconditional = nullptr; }}) {
    Conditioning given = told(at::kDouble);
    change(given);
    EXPECT_THROW((void)prior->denoiser->noise(z, level, given), InternalError);
  }
}

}  // namespace
}  // namespace dwgf
