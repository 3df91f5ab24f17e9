/// Programs that a test starts: their output is kept, their time is limited, and nothing of them outlives
/// their object. What a killed mpirun leaves behind is found too, because the test adopts orphans (see
/// `adopt_orphans`).
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "support/fork_server.hpp"

namespace dwgf::test {

struct Finished {
  int code = -1;           ///< the exit status; 128 + the signal that ended it
  bool timed_out = false;  ///< ended by the time limit, not by itself
  int outlived =
      0;  ///< processes that were still there well after the end of the first one, and were killed then
  double seconds = 0.0;
  std::string out, err;
};

/// To be called once before any process is started: orphans become children of this process.
void adopt_orphans();

/// The test's environment with these variables in it, and without a launcher's, which would make every
/// program here one of its ranks.
std::vector<std::string> environment(const std::map<std::string, std::string>& variables);

class Process {
 public:
  /// Starts `command` in `folder` with these variables beside (or in place of) the test's own; with `server`,
  /// in a fork of that. Its output goes to files in `scratch`, so that no pipe ever fills.
  Process(const std::vector<std::string>& command, const std::filesystem::path& folder,
          const std::filesystem::path& scratch, const std::map<std::string, std::string>& variables,
          ForkServer* server = nullptr);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  bool running();
  pid_t pid() const { return pid_; }
  /// The living processes below this one whose program has this name, the eldest first.
  std::vector<pid_t> below(const std::string& program);
  /// Waits for the end of this process and of all below it.
  Finished wait(std::chrono::duration<double> limit);

 private:
  struct Descendant {
    pid_t pid;
    unsigned long long born;  ///< tells a process from a later one of the same number
  };
  void look_for_descendants();
  int kill_descendants();
  bool any_descendant_lives() const;

  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = 0;
  std::chrono::steady_clock::time_point start_;
  std::filesystem::path out_, err_;
  std::vector<Descendant> descendants_;
};

std::string read_text(const std::filesystem::path& path);

}  // namespace dwgf::test
