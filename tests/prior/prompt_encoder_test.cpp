#include "prior/models/prompt_encoder.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

constexpr const char* kPrompt = "a Photograph of an ASTRONAUT's café!";  // as in tools/make_text_golden.py

/// The two text encoders and tokenizers of SDXL.
class TwoEncoders : public ::testing::Test {
 protected:
  void SetUp() override {
    test::copy_text("sdxl", root());
    golden_ = test::read_all(test::data("text") / "encoder.safetensors");
  }
  const test::fs::path& root() const { return folder_.path(); }
  EncodedPrompt encode(const std::string& suffix, const std::string& prompt, at::ScalarType type) const {
    FileHashes hashes;
    return PromptEncoder(root(), suffix, at::TensorOptions(type)).encode(prompt, hashes);
  }
  void expect_equal(const char* name, const std::string& prompt, at::ScalarType type, double bound) const {
    const EncodedPrompt first = encode("", prompt, type), second = encode("_2", prompt, type);
    const std::string prefix = name;
    EXPECT_LE(test::relative_error(joined_penultimate(first, second), golden_.at(prefix + ".context")),
              bound);
    EXPECT_LE(test::relative_error(second.pooled, golden_.at(prefix + ".pooled")), bound);
    EXPECT_FALSE(first.pooled.defined());
  }
  void configure(const char* name, const char* key, const nlohmann::json& value) const {
    auto config = nlohmann::json::parse(test::read_bytes(root() / name));
    config[key] = value;
    test::write_bytes(root() / name, config.dump());
  }
  test::TemporaryFolder folder_;
  std::map<std::string, at::Tensor> golden_;
};

TEST_F(TwoEncoders, EmbeddingsEqualTransformers) {
  for (const auto& [name, prompt] :
       std::map<const char*, const char*>{{"sdxl", kPrompt}, {"sdxl.empty", ""}}) {
    expect_equal(name, prompt, at::kDouble, 1e-11);
    expect_equal(name, prompt, at::kFloat, 1e-5);
  }
}

TEST_F(TwoEncoders, TheEndIsTheTokenThatTheConfigurationNames) {
  const at::Tensor pooled = encode("_2", kPrompt, at::kDouble).pooled;
  configure("text_encoder_2/config.json", "eos_token_id", 814);  // "!", the padding, is 0
  EXPECT_TRUE(at::equal(encode("_2", kPrompt, at::kDouble).pooled, pooled));
  configure("text_encoder_2/config.json", "eos_token_id", 813);  // the prompt's first token
  EXPECT_FALSE(at::equal(encode("_2", kPrompt, at::kDouble).pooled, pooled));
  configure("text_encoder_2/config.json", "eos_token_id", 5000);
  const auto message = test::message_of<DataError>([&] { (void)encode("_2", kPrompt, at::kDouble); });
  EXPECT_NE(message.find("eos_token_id, 5000"), std::string::npos) << message;
}

TEST_F(TwoEncoders, AProjectionIsNotReadWhereNoneIsSaid) {
  configure("text_encoder_2/config.json", "architectures", {"CLIPTextModel"});
  const auto message = test::message_of<DataError>([&] { (void)encode("_2", kPrompt, at::kDouble); });
  EXPECT_NE(message.find("text_projection"), std::string::npos) << message;
}

TEST_F(TwoEncoders, PromptsOfTwoLengthsAreRefused) {
  configure("tokenizer_2/tokenizer_config.json", "model_max_length", 50);
  const EncodedPrompt first = encode("", kPrompt, at::kDouble), second = encode("_2", kPrompt, at::kDouble);
  const auto message = test::message_of<DataError>([&] { (void)joined_penultimate(first, second); });
  EXPECT_NE(message.find("77 and 50"), std::string::npos) << message;
}

TEST_F(TwoEncoders, WhatIsCutShortIsSaid) {
  std::string longest;
  for (int i = 0; i < 75; ++i) longest += "a ";
  const PromptEncoder encoder(root(), "_2", at::kFloat);
  EXPECT_FALSE(encoder.cuts_short(""));
  EXPECT_FALSE(encoder.cuts_short(longest));
  EXPECT_TRUE(encoder.cuts_short(longest + "a"));
}

}  // namespace
}  // namespace dwgf
