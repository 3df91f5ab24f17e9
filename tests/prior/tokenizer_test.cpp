#include "prior/files/tokenizer.hpp"

#include <cstdint>
#include <cstdlib>
#include <vector>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

/// The committed golden, and another that DWGF_TEXT_GOLDEN may name (see tools/make_text_golden.py).
test::fs::path golden_folder(bool own) {
  if (!own) return test::data("text");
  const char* const named = std::getenv("DWGF_TEXT_GOLDEN");
  return named == nullptr ? "" : named;
}

using test::fs::path;

class TokenizerParity : public ::testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(TokenizerParity, EqualsTransformers) {
  const auto [name, own] = GetParam();
  const path folder = golden_folder(own);
  if (folder.empty()) GTEST_SKIP() << "DWGF_TEXT_GOLDEN names no other vocabulary";
  const test::TemporaryFolder temporary;
  const auto overwrite = test::fs::copy_options::recursive | test::fs::copy_options::overwrite_existing;
  if (name != "single") test::fs::copy(folder / "plain", temporary.path(), overwrite);
  test::fs::copy(folder / name, temporary.path(), overwrite);
  const Tokenizer tokenizer(temporary.path());
  EXPECT_EQ(tokenizer.max_length(), 77);

  const auto texts = nlohmann::json::parse(test::read_bytes(folder / "strings.json")).at("strings");
  const auto golden = test::read_all(folder / "ids.safetensors");
  const auto numbers = [&](const std::string& what) {
    return golden.at(name + what).to(at::kLong).contiguous();
  };
  const at::Tensor ids = numbers(".ids"), lengths = numbers(".lengths"), padded = numbers(".padded");
  const auto* next = ids.const_data_ptr<std::int64_t>();
  std::size_t wrong = 0;
  for (std::int64_t i = 0; i < lengths.size(0); ++i) {
    const auto length = lengths[i].item<std::int64_t>();
    const std::vector<std::int64_t> expected(next, next + length);
    next += length;
    const auto text = texts.at(static_cast<std::size_t>(i)).get<std::string>();
    if (tokenizer.encode(text, length) != expected ||
        std::min<std::size_t>(tokenizer.tokens(text).size() + 2, 77) != expected.size()) {
      if (++wrong < 10) ADD_FAILURE() << "text " << i << ": " << texts.at(static_cast<std::size_t>(i)).dump();
    }
  }
  EXPECT_EQ(wrong, 0U);
  for (std::int64_t i = 0; i < padded.size(0); ++i) {
    const auto* row = padded.const_data_ptr<std::int64_t>() + i * 77;
    EXPECT_EQ(tokenizer.encode(texts.at(static_cast<std::size_t>(i)).get<std::string>(), 77),
              std::vector<std::int64_t>(row, row + 77));
  }
  EXPECT_GE(lengths.size(0), name == "plain" || name == "second" ? 2000 : 500);
}

INSTANTIATE_TEST_SUITE_P(Files, TokenizerParity,
                         ::testing::Combine(::testing::Values<std::string>("plain", "published",
                                                                           "exclamation", "single", "second"),
                                            ::testing::Bool()));

/// A copy of the plain tokenizer, parts of which a test replaces.
class TokenizerFolder : public ::testing::Test {
 protected:
  void SetUp() override { test::fs::copy(test::data("text") / "plain", root()); }
  const path& root() const { return folder_.path(); }
  template <class Expected>
  void expect_refused(std::initializer_list<const char*> parts) const {
    const auto message = test::message_of<Expected>([&] { (void)Tokenizer(root()); });
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' not in: " << message;
  }
  void write(const char* name, const std::string& bytes) const { test::write_bytes(root() / name, bytes); }
  test::TemporaryFolder folder_;
};

TEST_F(TokenizerFolder, InvalidUtf8IsRefused) {
  const Tokenizer tokenizer(root());
  for (const char* text : {"a\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "ok \xf4\x90\x80\x80", "\x80"}) {
    const auto message = test::message_of<UsageError>([&] { (void)tokenizer.tokens(text); });
    EXPECT_NE(message.find("UTF-8"), std::string::npos);
  }
}

TEST_F(TokenizerFolder, LongWordsTakeNoLongTime) {
  EXPECT_GT(Tokenizer(root()).tokens(std::string(1'000'000, 'a')).size(), 10'000U);
}

TEST_F(TokenizerFolder, MissingFilesAreNamed) {
  for (const char* name : {"vocab.json", "merges.txt"}) {
    test::fs::rename(root() / name, root() / "away");
    expect_refused<NotFoundError>({name, "tokenizer.json", "fetch"});
    test::fs::rename(root() / "away", root() / name);
  }
  EXPECT_THROW(Tokenizer(root() / "nowhere"), NotFoundError);
  test::fs::remove(root() / "tokenizer_config.json");
  EXPECT_FALSE(Tokenizer(root()).max_length().has_value());
}

TEST_F(TokenizerFolder, DamagedVocabulariesAreRefused) {
  for (const char* bad : {"{", "[]", "{}", R"({"a":-1})", R"({"a":1.5})", R"({"a":"1"})", R"({"a":1e30})"}) {
    write("vocab.json", bad);
    expect_refused<DataError>({"vocab.json"});
  }
  write("vocab.json", R"({"a":0,"b":1})");
  write("merges.txt", "#version: 0.2\n");
  expect_refused<DataError>({"<|startoftext|>", "vocabulary"});
}

TEST_F(TokenizerFolder, DamagedMergesAreRefused) {
  for (const char* bad : {"a\n", "a b c\n", " \n", "a \n", "\n\n"}) {
    write("merges.txt", bad);
    expect_refused<DataError>({"merges.txt", "line 1"});
  }
  write("merges.txt", "#version: 0.2\nq q\n");
  expect_refused<DataError>({"merges.txt", "'qq'", "vocab.json"});
}

TEST_F(TokenizerFolder, OtherConfigurationsAreRefused) {
  for (const char* bad :
       {R"({"padding_side":"left"})", R"({"truncation_side":"left"})", R"({"tokenizer_class":"T5Tokenizer"})",
        R"({"split_special_tokens":true})", R"({"model_max_length":1})", R"({"model_max_length":"77"})",
        R"({"pad_token":7})", R"({"pad_token":""})", R"({"pad_token":"<none>"})",
        R"({"bos_token":{"content":"<|startoftext|>","lstrip":true}})",
        R"({"extra_special_tokens":{"a":"b"}})"}) {
    write("tokenizer_config.json", bad);
    SCOPED_TRACE(bad);
    expect_refused<DataError>({"prior: "});
  }
  write("tokenizer_config.json", R"({"model_max_length":1000000000000000019884624838656})");
  EXPECT_FALSE(Tokenizer(root()).max_length().has_value());
  write("tokenizer_config.json", R"({"pad_token":{"content":"!","normalized":false}})");
  EXPECT_EQ(Tokenizer(root()).encode("", 3).back(), 0);
}

TEST_F(TokenizerFolder, OtherSingleFilesAreRefused) {
  for (const char* bad :
       {"{}", R"({"model":{"type":"Unigram","vocab":[]}})", R"({"model":{"type":"BPE","vocab":{}}})",
        R"({"model":{"type":"BPE","vocab":{"a":0}}})",
        R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}})"}) {
    write("tokenizer.json", bad);
    expect_refused<DataError>({"tokenizer.json"});
  }
}

}  // namespace
}  // namespace dwgf
