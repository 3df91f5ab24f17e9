#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/models/prompt_encoder.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrompt = "a Photograph of an ASTRONAUT's café!";  // as in tools/make_text_golden.py

/// A whole prior: the networks of `like`, its text encoder and its tokenizer.
class WithTextEncoder : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { make(GetParam()); }
  void make(const std::string& like) {
    fs::copy(test::data(like), root(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    test::copy_text(like, root());
    golden_ = test::read_all(test::data("text") / "encoder.safetensors");
  }
  const fs::path& root() const { return folder_.path(); }
  at::Tensor encode(const std::string& prompt, at::ScalarType type) const {
    FileHashes hashes;
    return PromptEncoder(root(), "", at::TensorOptions(type)).encode(prompt, hashes).last;
  }
  std::unique_ptr<Prior> load(const PriorOptions& options) const {
    return load_stable_diffusion(root().string(), options);
  }
  template <class Expected>
  void expect_refused(const PriorOptions& options, std::initializer_list<const char*> parts) const {
    const auto message = test::message_of<Expected>([&] { (void)load(options); });
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' not in: " << message;
  }
  void configure(const char* key, const nlohmann::json& value) const {
    const fs::path file = root() / "text_encoder" / "config.json";
    auto config = nlohmann::json::parse(test::read_bytes(file));
    config[key] = value;
    test::write_bytes(file, config.dump());
  }
  test::TemporaryFolder folder_;
  std::map<std::string, at::Tensor> golden_;
};

TEST_P(WithTextEncoder, EmbeddingEqualsTransformers) {
  const at::Tensor expected = golden_.at(std::string(GetParam()) + ".context");
  EXPECT_LE(test::relative_error(encode(kPrompt, at::kDouble), expected), 1e-11);
  EXPECT_LE(test::relative_error(encode(kPrompt, at::kFloat), expected), 1e-5);
}

TEST_P(WithTextEncoder, APromptIsItsEmbedding) {
  const at::Tensor z =
      test::read_all(test::data(std::string(GetParam()) + ".safetensors")).at("z").to(at::kDouble);
  for (const char* prompt : {kPrompt, ""}) {
    const auto by_prompt = load({.dtype = at::kDouble, .prompt = prompt});
    const auto by_context = load({.dtype = at::kDouble, .context = encode(prompt, at::kDouble)});
    EXPECT_TRUE(at::equal(by_prompt->noise(z, test::level_at(*by_prompt, 501)),
                          by_context->noise(z, test::level_at(*by_context, 501))));
    EXPECT_NE(by_prompt->sha256, by_context->sha256);
    EXPECT_EQ(by_prompt->sha256, load({.prompt = "another"})->sha256);
  }
  const Level level = test::level_at(*load({}), 501);
  EXPECT_FALSE(at::equal(load({.dtype = at::kDouble, .prompt = kPrompt})->noise(z, level),
                         load({.dtype = at::kDouble})->noise(z, level)));
  EXPECT_EQ(load({.context = encode("", at::kFloat)})->sha256,
            load_stable_diffusion(test::data(GetParam()).string(), {})->sha256);
  EXPECT_TRUE(load({.dtype = at::kBFloat16, .prompt = kPrompt})->noise(z.to(at::kBFloat16), level).defined());
}

TEST_P(WithTextEncoder, WhatIsMissingIsNamed) {
  for (const char* name : {"text_encoder/config.json", "text_encoder/model.safetensors",
                           "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer"}) {
    fs::rename(root() / name, root() / "away");
    expect_refused<NotFoundError>({}, {name});
    fs::rename(root() / "away", root() / name);
  }
  fs::remove_all(root() / "text_encoder");
  (void)load({});
  expect_refused<NotFoundError>({.prompt = "a"}, {"text_encoder", "prompt"});
}

TEST_P(WithTextEncoder, WhatDoesNotBelongTogetherIsRefused) {
  expect_refused<UsageError>({.context = at::zeros({1, 1, 8}), .prompt = "a"}, {"one of them"});
  expect_refused<UsageError>({.prompt = "\xff"}, {"UTF-8"});
  const fs::path file = root() / "text_encoder" / "config.json";
  const std::string intact = test::read_bytes(file);
  configure("vocab_size", 600);
  expect_refused<DataError>({}, {"vocab.json", "815", "600", "vocab_size"});
  test::write_bytes(file, intact);
  configure("hidden_size", 36);
  expect_refused<DataError>({}, {"hidden_size", "cross_attention_dim", "36"});
  test::write_bytes(file, intact);
  configure("max_position_embeddings", 20);
  expect_refused<DataError>({}, {"model_max_length", "max_position_embeddings", "20"});
  test::write_bytes(file, intact);
  configure("num_hidden_layers", 1);
  expect_refused<DataError>({}, {"text_encoder", "unexpected", "layers"});
}

TEST_P(WithTextEncoder, ConfigurationsAreBounded) {
  const fs::path file = root() / "text_encoder" / "config.json";
  const std::string intact = test::read_bytes(file);
  const std::map<std::string, nlohmann::json> bad = {{"vocab_size", 1e9},
                                                     {"hidden_size", 0},
                                                     {"intermediate_size", -1},
                                                     {"num_hidden_layers", 1000},
                                                     {"num_attention_heads", 5},
                                                     {"hidden_act", "relu"},
                                                     {"max_position_embeddings", 1e300},
                                                     {"layer_norm_eps", 0.1},
                                                     {"model_type", "bert"}};
  for (const auto& [key, value] : bad) {
    configure(key.c_str(), value);
    expect_refused<DataError>({}, {"config.json", key.c_str(), "supported"});
    test::write_bytes(file, intact);
  }
}

TEST_P(WithTextEncoder, NamesComeWithAndWithoutAPrefix) {
  const fs::path file = root() / "text_encoder" / "model.safetensors";
  auto weights = test::read_all(file);
  std::map<std::string, at::Tensor> renamed = {{"embeddings.position_ids", at::arange(77).unsqueeze(0)}};
  for (const auto& [name, tensor] : weights)
    renamed[name.starts_with("text_model.") ? name.substr(11) : "text_model." + name] = tensor;
  const at::Tensor before = encode(kPrompt, at::kFloat);
  test::write_bytes(file, test::safetensors_bytes(renamed));
  EXPECT_TRUE(at::equal(encode(kPrompt, at::kFloat), before));
}

TEST_P(WithTextEncoder, LongPromptsAreCutShort) {
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += "the ";
  const at::Tensor all = encode(longer, at::kFloat);
  EXPECT_EQ(all.size(1), 77);
  EXPECT_TRUE(at::equal(encode(longer + "cat", at::kFloat), all));
}

INSTANTIATE_TEST_SUITE_P(Models, WithTextEncoder, ::testing::Values("sd1", "sd2"));

}  // namespace
}  // namespace dwgf
