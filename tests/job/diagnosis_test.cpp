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
  const RankFacts facts = rank_on("h\xC3\xA9", {0, 5});
  const RankFacts copy = RankFacts::from_json(facts.json());
  EXPECT_EQ(copy.host, facts.host);
  EXPECT_EQ(copy.processors, facts.processors);
  EXPECT_EQ(copy.host_processors, 8);
  EXPECT_EQ(copy.clock, facts.clock);
  EXPECT_EQ(copy.libraries.at(1).loaded, "1.10.8");
}

}  // namespace
}  // namespace dwgf
