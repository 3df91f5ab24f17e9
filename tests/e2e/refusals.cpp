#include "refusals.hpp"

namespace dwgf::test {

namespace {

constexpr double kSoon = 20.0;      // seconds, on a machine that is busy with other tests
constexpr std::size_t kAtOnce = 2;  // cases, of two runs each: most of a refused run is waiting for mpirun

bool begins_message(const std::string& line) {
  return line.starts_with("dwgf ") || line.starts_with("dwgf:");
}

}  // namespace

void expect_refused(const Finished& finished, int code, const std::vector<std::string>& words) {
  expect_code(finished, code);
  expect_readable(finished);
  EXPECT_LT(finished.seconds, kSoon);
  EXPECT_EQ(finished.out, "") << "standard output is for results";
  std::string message;
  int messages = 0;
  for (const std::string& line : own_lines(finished.err)) {
    messages += begins_message(line);
    message += line + "\n";
  }
  EXPECT_EQ(messages, 1) << finished.err;
  EXPECT_TRUE(begins_message(message)) << "something comes before the message:\n" << finished.err;
  for (const std::string& word : words)
    EXPECT_TRUE(contains(message, word)) << "'" << word << "' is missing in: " << message;
}

void expect_refusals(const std::vector<Refusal>& cases) {
  for (std::size_t first = 0; first < cases.size(); first += kAtOnce) {
    std::vector<std::pair<const Refusal*, int>> plan;
    for (std::size_t k = first; k < std::min(first + kAtOnce, cases.size()); ++k) {
      plan.push_back({&cases[k], 0});
      plan.push_back({&cases[k], 3});
    }
    std::vector<Process> processes;
    for (const auto& [refusal, ranks] : plan) processes.push_back(start(ranks, refusal->arguments));
    for (std::size_t k = 0; k < plan.size(); ++k) {
      SCOPED_TRACE(plan[k].first->name + (plan[k].second ? ", on 3 ranks" : ", alone"));
      expect_refused(processes[k].wait(std::chrono::seconds(60)), plan[k].first->code, plan[k].first->words);
    }
  }
}

}  // namespace dwgf::test
