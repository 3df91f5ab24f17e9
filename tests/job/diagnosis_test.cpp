#include "job/diagnosis.hpp"

#include <gtest/gtest.h>

namespace dwgf {
namespace {

using Level = Finding::Level;

RankFacts rank_on(const std::string& host, std::vector<int> processors, double clock = 1e9) {
  return {host, std::move(processors), 8, clock, {{"MPI", "4.1.4", "4.1.4"}, {"HDF5", "1.10.8", "1.10.8"}}};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Diagnosis, RanksBesideABatchJobAreNoticed) {
  EXPECT_EQ(diagnose_ranks(8, 2, 0).level, Level::fine);
  EXPECT_EQ(diagnose_ranks(8, 2, 8).level, Level::fine);
  const Finding finding = diagnose_ranks(1, 1, 8);
  EXPECT_EQ(finding.level, Level::warning);
  EXPECT_TRUE(has(finding.text, "8 tasks") && has(finding.advice, "srun")) << finding.text;
}

TEST(Diagnosis, ThreadsNeedProcessorsOfTheirOwn) {
  const std::vector<RankFacts> apart = {rank_on("a", {0, 1}), rank_on("a", {2, 3}),
                                        rank_on("b", {0, 1, 2, 3})};
  for (const Finding& finding : diagnose_binding(apart, 2)) EXPECT_EQ(finding.level, Level::fine);

  const std::vector<RankFacts> shared = {rank_on("a", {0, 1}), rank_on("a", {0, 1})};
  EXPECT_EQ(diagnose_binding(shared, 1).at(0).level, Level::fine) << "two ranks on two processors";
  EXPECT_EQ(diagnose_binding(shared, 2).at(0).level, Level::warning) << "four threads on two processors";

  const std::vector<RankFacts> bound = {rank_on("a", {0}), rank_on("a", {1, 2, 3})};
  const Finding finding = diagnose_binding(bound, 2).at(0);
  EXPECT_EQ(finding.level, Level::warning);
  EXPECT_TRUE(has(finding.text, "bound to 1 processor")) << finding.text;
}

TEST(Diagnosis, ClocksASecondApartAreNoticedInEitherDirection) {
  const auto level = [](double skew) {
    const std::vector<RankFacts> ranks = {rank_on("a", {0}, 1e9), rank_on("b", {0}, 1e9 + skew)};
    return diagnose_clocks(ranks);
  };
  EXPECT_EQ(level(0.2).level, Level::fine);
  EXPECT_TRUE(has(level(90).text, "b is 1 min 30 s ahead of that of a")) << level(90).text;
  EXPECT_TRUE(has(level(-90).text, "behind")) << level(-90).text;
}

TEST(Diagnosis, LibrariesThatDifferBetweenHostsAreAProblemAndOthersThanCompiledAWarning) {
  std::vector<RankFacts> ranks = {rank_on("a", {0}), rank_on("b", {0})};
  for (const Finding& finding : diagnose_libraries(ranks)) EXPECT_EQ(finding.level, Level::fine);
  ranks[1].libraries[1].loaded = "1.10.9";
  EXPECT_EQ(diagnose_libraries(ranks).at(1).level, Level::problem);
  ranks[0].libraries[1].loaded = "1.10.9";
  EXPECT_EQ(diagnose_libraries(ranks).at(1).level, Level::fine) << "a patch release";
  ranks[0].libraries[1].loaded = ranks[1].libraries[1].loaded = "1.12.1";
  EXPECT_EQ(diagnose_libraries(ranks).at(1).level, Level::warning);
}

TEST(Diagnosis, ThereHasToBeSpaceForTheResults) {
  EXPECT_EQ(diagnose_space("/x", 0, 5).level, Level::fine);
  EXPECT_EQ(diagnose_space("/x", 5, 5).level, Level::fine);
  EXPECT_EQ(diagnose_space("/x", 6, 5).code, ExitCode::io);
}

TEST(Diagnosis, MemoryIsCountedByHostAndOnlyWhatIsSurelyTooMuchIsRefused) {
  std::vector<RankFacts> ranks = {rank_on("a", {0}), rank_on("a", {1}), rank_on("b", {0})};
  for (RankFacts& rank : ranks) rank.memory_available = 100;
  EXPECT_TRUE(diagnose_memory(ranks, {50}, "less").empty());
  const std::vector<Finding> perhaps =
      diagnose_memory(ranks, {60}, "less");  // 120 of 100: within the estimate
  ASSERT_EQ(perhaps.size(), 1u);
  EXPECT_EQ(perhaps[0].level, Level::warning);
  EXPECT_TRUE(has(perhaps[0].text, "on a (2 ranks)")) << perhaps[0].text;
  EXPECT_EQ(diagnose_memory(ranks, {60, false}, "less").at(0).level, Level::problem);
  const std::vector<Finding> surely = diagnose_memory(ranks, {126}, "less");
  ASSERT_EQ(surely.size(), 2u);
  EXPECT_EQ(conclusion(surely), ExitCode::usage);
  for (RankFacts& rank : ranks) rank.memory_available = 0;
  EXPECT_TRUE(diagnose_memory(ranks, {126}, "less").empty()) << "nobody knows";
}

TEST(Diagnosis, RanksWithoutWorkAreNoticed) {
  EXPECT_TRUE(diagnose_work(2, 1, 2, 1).empty());
  const std::vector<Finding> images = diagnose_work(4, 1, 2, 8);
  ASSERT_EQ(images.size(), 1u);
  EXPECT_TRUE(has(images[0].text, "2 of 4 groups") && has(images[0].advice, "ranks_per_image = 2"));
  EXPECT_TRUE(diagnose_work(1, 2, 1, 2).empty());
  EXPECT_TRUE(diagnose_work(1, 2, 1, 3).empty()) << "two and one";
  EXPECT_EQ(diagnose_work(1, 2, 1, 1).size(), 1u);
  EXPECT_EQ(diagnose_work(1, 4, 1, 6).size(), 1u) << "two each for three of the four";
}

TEST(Diagnosis, HalfPrecisionNeedsInstructionsForIt) {
  EXPECT_TRUE(diagnose_precision("bf16", "fpu avx512_bf16 sse").empty());
  EXPECT_TRUE(diagnose_precision("fp16", "fpu amx_fp16").empty());
  EXPECT_TRUE(diagnose_precision("fp32", "fpu").empty());
  EXPECT_EQ(diagnose_precision("bf16", "fpu avx512_fp16 xavx512_bf16y").size(), 1u);
  EXPECT_EQ(diagnose_precision("fp16", "fpu avx512_bf16").at(0).level, Level::warning);
}

TEST(Diagnosis, TheFirstProblemDecidesAndWarningsDoNot) {
  const Finding fine = Finding::fine("a", "b"), warning = Finding::warning("a", "b", "do this");
  const Finding space = diagnose_space("/x", 6, 5);
  const Finding other = Finding::problem("a", "b", "c", ExitCode::not_found);
  EXPECT_EQ(conclusion(std::vector{fine, warning}), ExitCode::ok);
  EXPECT_EQ(conclusion(std::vector{fine, warning, space, other}), ExitCode::io);
  const std::string text = text_of(std::vector{fine, warning, space});
  EXPECT_TRUE(has(text, "-> do this") && has(text, "PROBLEM")) << text;
}

TEST(Diagnosis, FactsTravelAsText) {
  RankFacts facts = rank_on("h\xC3\xA9", {0, 5});
  facts.memory_available = 12345678901;
  const RankFacts copy = RankFacts::from_json(facts.json());
  EXPECT_EQ(copy.host, facts.host);
  EXPECT_EQ(copy.processors, facts.processors);
  EXPECT_EQ(copy.host_processors, 8);
  EXPECT_EQ(copy.memory_available, 12345678901u);
  EXPECT_EQ(copy.clock, facts.clock);
  EXPECT_EQ(copy.libraries.at(1).loaded, "1.10.8");
}

}  // namespace
}  // namespace dwgf
