#include "support/process.hpp"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace dwgf::test {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// How long the ranks of an ended or killed mpirun may take to notice. mpirun itself gives them 2 s before it
// kills them.
constexpr auto kGrace = 10s;

struct Stat {
  std::string program;
  char state = 'Z';
  pid_t parent = 0;
  unsigned long long born = 0;
};

// /proc/PID/stat, of which the second field is the program's name in brackets and may hold anything.
std::optional<Stat> stat_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  const std::size_t open = line.find('('), close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  Stat stat;
  stat.program = line.substr(open + 1, close - open - 1);
  std::istringstream rest(line.substr(close + 1));
  rest >> stat.state >> stat.parent;
  std::string skipped;
  for (int field = 5; field < 22; ++field) rest >> skipped;
  rest >> stat.born;
  return stat;
}

std::map<pid_t, Stat> all_processes() {
  std::map<pid_t, Stat> processes;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t pid = std::stoi(name);
    if (auto stat = stat_of(pid)) processes[pid] = *stat;
  }
  return processes;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

pid_t start_program(Launch launch) {
  const std::vector<char*> words = pointers(launch.command), variables = pointers(launch.environment);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    if (settle_in(launch)) execvpe(words[0], words.data(), variables.data());
    _exit(127);
  }
  return pid;
}

}  // namespace

std::vector<std::string> environment(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable; ++variable) {
    const std::string text = *variable, name = text.substr(0, text.find('='));
    const bool launcher = name.starts_with("OMPI_") || name.starts_with("PMIX_") ||
                          name.starts_with("PMI_") || name.starts_with("SLURM_") || name.starts_with("ORTE_");
    if (!launcher && !variables.contains(name)) all.push_back(text);
  }
  for (const auto& [name, value] : variables) all.push_back(name + "=" + value);
  return all;
}

void adopt_orphans() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Process::Process(const std::vector<std::string>& command, const fs::path& folder, const fs::path& scratch,
                 const std::map<std::string, std::string>& variables, ForkServer* server)
    : start_(Clock::now()) {
  static std::atomic<int> count{0};
  const std::string number = std::to_string(++count);
  out_ = scratch / (number + ".out");
  err_ = scratch / (number + ".err");
  const Launch launch{command, environment(variables), folder, out_, err_};
  pid_ = server ? server->start(launch) : start_program(launch);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      ended_(other.ended_),
      status_(other.status_),
      start_(other.start_),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      descendants_(std::move(other.descendants_)) {}

Process::~Process() {
  if (pid_ < 0) return;
  look_for_descendants();
  if (running()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
  }
  kill_descendants();
}

bool Process::running() {
  if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

void Process::look_for_descendants() {
  const std::map<pid_t, Stat> processes = all_processes();
  std::vector<pid_t> parents;
  if (!ended_) parents.push_back(pid_);
  for (const Descendant& known : descendants_) parents.push_back(known.pid);
  // Children of children: repeated until nothing new is found. `parents` grows while it is walked.
  for (std::size_t k = 0; k < parents.size(); ++k) {
    for (const auto& [pid, stat] : processes) {
      if (stat.parent != parents[k] || std::count(parents.begin(), parents.end(), pid)) continue;
      parents.push_back(pid);
      descendants_.push_back({pid, stat.born});
    }
  }
}

bool Process::any_descendant_lives() const {
  return std::any_of(descendants_.begin(), descendants_.end(), [](const Descendant& one) {
    waitpid(one.pid, nullptr, WNOHANG);  // an orphan that ended is ours to bury
    const auto stat = stat_of(one.pid);
    return stat && stat->born == one.born && stat->state != 'Z';
  });
}

int Process::kill_descendants() {
  int killed = 0;
  for (const Descendant& one : descendants_) {
    const auto stat = stat_of(one.pid);
    if (!stat || stat->born != one.born || stat->state == 'Z') continue;
    ++killed;
    kill(one.pid, SIGKILL);
  }
  const auto start = Clock::now();
  while (any_descendant_lives() && Clock::now() - start < 5s) std::this_thread::sleep_for(10ms);
  return killed;
}

std::vector<pid_t> Process::below(const std::string& program) {
  look_for_descendants();
  std::vector<std::pair<unsigned long long, pid_t>> found;
  for (const Descendant& one : descendants_) {
    const auto stat = stat_of(one.pid);
    if (stat && stat->born == one.born && stat->state != 'Z' && stat->program == program)
      found.push_back({one.born, one.pid});
  }
  std::sort(found.begin(), found.end());
  std::vector<pid_t> pids;
  for (const auto& [born, pid] : found) pids.push_back(pid);
  return pids;
}

Finished Process::wait(std::chrono::duration<double> limit) {
  Finished finished;
  for (int turn = 0; running(); ++turn) {
    if (turn % 25 == 0) look_for_descendants();
    if (Clock::now() - start_ > limit) {
      finished.timed_out = true;
      look_for_descendants();
      kill(pid_, SIGKILL);
      waitpid(pid_, &status_, 0);
      ended_ = true;
      kill_descendants();
    } else {
      std::this_thread::sleep_for(10ms);
    }
  }
  finished.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  look_for_descendants();
  const auto end = Clock::now();
  while (any_descendant_lives() && Clock::now() - end < kGrace) std::this_thread::sleep_for(10ms);
  finished.outlived = kill_descendants();
  finished.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  finished.out = read_text(out_);
  finished.err = read_text(err_);
  return finished;
}

}  // namespace dwgf::test
