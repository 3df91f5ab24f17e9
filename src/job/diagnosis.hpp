/// What `dwgf doctor` concludes from what it found: pure functions, so that findings which no test machine
/// has are tested too.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/base/versions.hpp>

namespace dwgf {

struct Finding {
  enum class Level { fine, warning, problem };
  Level level = Level::fine;
  std::string topic;
  std::string text;
  std::string advice = {};       ///< what to do about it; empty where fine
  ExitCode code = ExitCode::ok;  ///< of a problem

  static Finding fine(std::string topic, std::string text);
  static Finding warning(std::string topic, std::string text, std::string advice);
  static Finding problem(std::string topic, std::string text, std::string advice, ExitCode code);
};

/// What one rank knows about itself.
struct RankFacts {
  std::string host;
  std::vector<int> processors;  ///< that it may run on
  int host_processors = 1;
  double clock = 0.0;  ///< seconds since 1970, taken by all ranks at one moment
  std::vector<LibraryVersions> libraries;

  std::string json() const;
  static RankFacts from_json(const std::string& text);
};

/// @param allocated  tasks of the batch job where the program was started beside them; 0: not known
Finding diagnose_ranks(int found, int hosts, int allocated);
/// Threads against processors, ranks that share some, per host.
std::vector<Finding> diagnose_binding(std::span<const RankFacts> ranks, int threads);
/// Warns from a second on.
Finding diagnose_clocks(std::span<const RankFacts> ranks);
/// Compiled against loaded, and the same on all ranks.
std::vector<Finding> diagnose_libraries(std::span<const RankFacts> ranks);
Finding diagnose_space(const std::string& directory, std::uint64_t needed, std::uint64_t free);

/// The code of the first problem; ok where there is none.
ExitCode conclusion(std::span<const Finding> findings);
/// One line a finding, its advice below it.
std::string text_of(std::span<const Finding> findings);

}  // namespace dwgf
