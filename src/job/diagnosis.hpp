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
  std::uint64_t memory_available = 0;  ///< of the host [bytes]; 0: not known

  std::string json() const;
  static RankFacts from_json(const std::string& text);
};

/// @param allocated  tasks of the batch job where the program was started beside them; 0: not known
Finding diagnose_ranks(int found, int hosts, int allocated);
/// Threads against processors, ranks that share some, per host.
std::vector<Finding> diagnose_binding(std::span<const RankFacts> ranks, int threads);
/// What the ranks of each host take beside what they hold now.
struct MemoryNeed {
  std::uint64_t a_rank = 0;  ///< [bytes]
  bool is_estimate = true;   ///< within 20 %: only what is surely too much is a problem
};
/// A problem where a host has surely less than its ranks need, a warning where it probably has; nothing where
/// all is well or nobody knows. `advice` is what would make the need smaller.
std::vector<Finding> diagnose_memory(std::span<const RankFacts> ranks, const MemoryNeed& need,
                                     const std::string& advice);
/// Ranks that will have nothing to do: more groups than images, or fewer micro-batches than ranks of a group.
/// @param micro_batches  of one image
std::vector<Finding> diagnose_work(int groups, int group_size, std::int64_t images,
                                   std::int64_t micro_batches);
/// Networks in half precision on a processor without instructions for it.
/// @param precision  "bf16", "fp16"; @param flags  of the processor, as the kernel names them
std::vector<Finding> diagnose_precision(const std::string& precision, const std::string& flags);
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
