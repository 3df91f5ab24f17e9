#include "refusals.hpp"

namespace dwgf::test {

namespace {

constexpr double kSoon = 20.0;      // seconds, on a machine that is busy with other tests
constexpr std::size_t kAtOnce = 3;  // runs: most of a refused one is waiting for the disk and for mpirun

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
    if (line.starts_with("restore: warning: ")) continue;  // of the prior, which has random weights
    if (line.starts_with("restore: ") && (contains(line, " images, ") || contains(line, " for ")))
      continue;  // progress, where it takes long
    if (line.starts_with("restore: clean pictures: ")) continue;
    messages += begins_message(line);
    message += line + "\n";
  }
  EXPECT_EQ(messages, 1) << finished.err;
  EXPECT_TRUE(begins_message(message)) << "something comes before the message:\n" << finished.err;
  for (const std::string& word : words)
    EXPECT_TRUE(contains(message, word)) << "'" << word << "' is missing in: " << message;
}

void expect_refusals(const std::vector<Refusal>& cases) {
  // What is refused and why does not depend on the ranks; that it is told once and ends all of them does.
  std::vector<std::pair<const Refusal*, int>> plan = {{&cases.front(), 3}};
  for (const Refusal& refusal : cases) plan.push_back({&refusal, 0});
  for (std::size_t first = 0; first < plan.size(); first += kAtOnce) {
    const std::size_t last = std::min(first + kAtOnce, plan.size());
    std::vector<Process> processes;
    for (std::size_t k = first; k < last; ++k)
      processes.push_back(start(plan[k].second, plan[k].first->arguments));
    for (std::size_t k = first; k < last; ++k) {
      SCOPED_TRACE(plan[k].first->name + (plan[k].second ? ", on 3 ranks" : ", alone"));
      expect_refused(processes[k - first].wait(std::chrono::seconds(kPatience)), plan[k].first->code,
                     plan[k].first->words);
    }
  }
}

}  // namespace dwgf::test
