#include "prior/families/prompts.hpp"

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

/// Counts what it is asked for; its conditioning is the prompt's length.
class CountingReader final : public PromptReader {
 public:
  std::vector<const Weights*> weights() const override { return {}; }
  Conditioning read(const std::string& prompt, FileHashes&) override {
    ++reads;
    return {.tokens = at::full({1, 1, 1}, static_cast<double>(prompt.size()))};
  }
  bool cuts_short(const std::string& prompt) const override { return prompt.size() > 3; }
  void release() override { ++releases; }
  int reads = 0, releases = 0;
};

double length_in(const Conditioning& given) {
  return given.tokens.item<double>();
}

TEST(Prompts, AreReadOnceEachAndTheEncodersReleased) {
  const auto reader = std::make_shared<CountingReader>();
  Prior prior;
  FileHashes hashes;
  set_conditioning(prior, reader, {.guidance = 2.0, .prompt = "aa", .negative = "b"}, hashes);
  EXPECT_EQ(reader->reads, 2);
  EXPECT_EQ(reader->releases, 1);
  EXPECT_EQ(length_in(prior.conditioning), 2.0);
  EXPECT_EQ(length_in(*prior.conditioning.unconditional), 1.0);
  EXPECT_TRUE(prior.warnings.empty());
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(length_in(prior.conditioner->of("ccc", 8, 8)), 3.0);
    EXPECT_EQ(length_in(prior.conditioner->of(std::nullopt, 8, 8)), 2.0);
  }
  EXPECT_EQ(reader->reads, 3);
  EXPECT_EQ(reader->releases, 1);
}

TEST(Prompts, WithoutGuidanceTheNegativeOneIsNotRead) {
  const auto reader = std::make_shared<CountingReader>();
  Prior prior;
  FileHashes hashes;
  set_conditioning(prior, reader, {.prompt = "long"}, hashes);
  EXPECT_EQ(reader->reads, 1);
  EXPECT_FALSE(prior.conditioning.unconditional);
  ASSERT_EQ(prior.warnings.size(), 1U);
  EXPECT_NE(prior.warnings[0].find("longer than"), std::string::npos);
}

TEST(Prompts, ANetworkThatIsToldItsGuidanceTakesNoSecondPrompt) {
  const auto prior = load_prior(test::data("lcm").string(), {.guidance = 8.0});
  EXPECT_EQ(prior->conditioning.guidance, 8.0);
  EXPECT_FALSE(prior->conditioning.unconditional);
  const auto message = test::message_of<UsageError>(
      [] { (void)load_prior(test::data("lcm").string(), {.guidance = 8.0, .negative_prompt = "a"}); });
  EXPECT_NE(message.find("prior.negative_prompt"), std::string::npos) << message;
}

TEST(Prompts, GuidanceWithoutATextEncoderIsRefused) {
  for (const PriorOptions& options :
       {PriorOptions{.guidance = 2.0}, PriorOptions{.context = at::zeros({1, 1, 8}), .guidance = 2.0}}) {
    const auto message =
        test::message_of<UsageError>([&] { (void)load_prior(test::data("sd1").string(), options); });
    EXPECT_NE(message.find("prior.guidance = 2"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace dwgf
