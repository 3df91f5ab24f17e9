/// Commands that the program has to refuse, and what it has to say.
#pragma once

#include <string>
#include <vector>

#include "workplace.hpp"

namespace dwgf::test {

struct Refusal {
  std::string name;  ///< of the case, for the test's own messages
  Arguments arguments;
  int code;
  std::vector<std::string> words;  ///< what was found, where, and what to do: each is part of the message
};

/// Runs every command alone, and the first one on 3 ranks too. All end within 20 s with the code, an empty
/// standard output, and exactly one message that has all the words and nothing that only a developer can
/// read.
void expect_refusals(const std::vector<Refusal>& cases);

/// The same of one run that has ended.
void expect_refused(const Finished& finished, int code, const std::vector<std::string>& words);

}  // namespace dwgf::test
