#include "app/selftest.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dwgf/base/text.hpp>

#include "base/posix_file.hpp"
#include "data/npy.hpp"
#include "store/results.hpp"
#include "store/schema.hpp"

extern char** environ;

namespace dwgf {

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSide = 32;
constexpr const char* kMean = schema::kPosteriorMean.path;

/// Why a check failed, or could not be made.
struct Failed {
  std::string why;
  bool tried = true;
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "dwgf-selftest-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw IoError("no folder can be made in {} ({}); set TMPDIR to one that can be written",
                    fs::temp_directory_path().string(), system_text(errno));
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

struct Finished {
  int code = -1;
  std::string out, err;
};

std::string text_in(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The last line that is not empty: what a program that failed said in the end.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "without a word";
  const std::size_t begin = text.find_last_of('\n', end);
  return trim(text.substr(begin == std::string::npos ? 0 : begin + 1, end - begin));
}

/// Runs a program to its end, for two minutes at most.
Finished run(const TemporaryFolder& folder, const Words& words) {
  constexpr std::chrono::minutes patience(2);
  const std::string out = folder / "out", err = folder / "err";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw Failed{formatted("{} does not start ({})", words[0], system_text(error)), false};
  int status = 0;
  for (const auto start = Clock::now(); waitpid(child, &status, WNOHANG) == 0;) {
    if (Clock::now() - start > patience) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      throw Failed{"it took longer than two minutes"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_in(out), text_in(err)};
}

/// A shirt and a trouser of flat grey on black, [2, 1, 32, 32].
std::vector<float> drawn_images() {
  std::vector<float> values(2 * kSide * kSide, -1.0f);
  const auto fill = [&](std::int64_t image, std::int64_t top, std::int64_t left, std::int64_t height,
                        std::int64_t width, float grey) {
    for (std::int64_t y = top; y < top + height; ++y)
      for (std::int64_t x = left; x < left + width; ++x)
        values[static_cast<std::size_t>((image * kSide + y + 2) * kSide + x + 2)] = grey;
  };
  fill(0, 3, 8, 23, 12, 0.5f);
  fill(0, 4, 3, 9, 5, 0.3f);
  fill(0, 4, 20, 9, 5, 0.3f);
  fill(1, 2, 9, 6, 10, 0.4f);
  fill(1, 8, 9, 18, 4, 0.4f);
  fill(1, 8, 15, 18, 4, 0.4f);
  return values;
}

/// The checks, in the order in which they need each other.
class SelfTest {
 public:
  SelfTest() {
    std::error_code error;
    program_ = fs::read_symlink("/proc/self/exe", error).string();
    if (error) throw IoError("this program does not find its own file: /proc/self/exe: {}", error.message());
  }

  bool passed() {
    using Check = void (SelfTest::*)();
    constexpr std::pair<const char*, Check> checks[] = {
        {"the program and its libraries load", &SelfTest::loads},
        {"the built-in prior is there", &SelfTest::has_its_prior},
        {"clean images are measured", &SelfTest::measures},
        {"measurements are restored by one process", &SelfTest::restores},
        {"the same bits from clean images", &SelfTest::restores_again},
        {"two ranks under mpirun: the same bits", &SelfTest::restores_on_two_ranks},
        {"a finished job has nothing left to do", &SelfTest::goes_on},
        {"every image agrees with its checksum", &SelfTest::verifies},
        {"the posterior mean is nearer to the truth than bicubic", &SelfTest::is_good},
        {"the report and pictures are written", &SelfTest::shows},
    };
    bool all = true;
    for (const auto& [name, check] : checks) all = told(name, [&] { (this->*check)(); }) && all;
    return all;
  }

 private:
  static bool told(const char* name, const std::function<void()>& check) {
    const auto start = Clock::now();
    std::optional<Failed> failed;
    try {
      check();
    } catch (const Failed& failure) {
      failed = failure;
    } catch (const std::exception& error) {
      failed = Failed{error.what()};
    }
    const std::chrono::duration<double> seconds = Clock::now() - start;
    std::printf("%-9s %6.1f s  %s%s%s\n",
                !failed         ? "ok"
                : failed->tried ? "FAILED"
                                : "not tried",
                seconds.count(), name, failed ? ": " : "", failed ? failed->why.c_str() : "");
    std::fflush(stdout);
    return !failed || !failed->tried;
  }

  /// Runs this program, under a launcher where its words are given.
  Finished dwgf(Words words, const Words& launcher = {}) const {
    Words all = launcher;
    all.push_back(program_);
    all.insert(all.end(), words.begin(), words.end());
    Finished finished = run(folder_, all);
    if (finished.code != 0)
      throw Failed{formatted("`dwgf {}` ended with {}: {}", words.front(), finished.code,
                             last_line(finished.err.empty() ? finished.out : finished.err))};
    return finished;
  }

  Words restore(const std::string& data, const std::string& out) const {
    return {"restore", "--input.data", data, "--store.out",      out, "--flow.preset",
            "fast",    "--flow.steps", "20", "--flow.particles", "4"};
  }
  Words clean(const std::string& out) const {
    Words words = restore(folder_ / "x.npy", out);
    const Words problem = {"--problem.operator", "mean:2", "--problem.sigma", "0.02"};
    words.insert(words.end(), problem.begin(), problem.end());
    return words;
  }

  void loads() { dwgf({"--version"}); }
  void has_its_prior() { dwgf({"priors", "builtin:fashion"}); }

  void measures() {
    write_npy(folder_ / "x.npy", {2, 1, kSide, kSide}, drawn_images());
    dwgf({"degrade", "--input.data", folder_ / "x.npy", "--store.out", folder_ / "y.h5", "--problem.operator",
          "mean:2", "--problem.sigma", "0.02"});
  }

  void restores() { dwgf(restore(folder_ / "y.h5", folder_ / "one.h5")); }

  void restores_again() {
    dwgf(clean(folder_ / "again.h5"));
    require_same("again.h5");
  }

  void restores_on_two_ranks() {
    const Words launcher = {"mpirun", "-np", "2"};
    Words version = launcher;
    version.insert(version.end(), {program_, "--version"});
    if (const Finished started = run(folder_, version); started.code != 0)
      throw Failed{formatted("`mpirun -np 2` starts no ranks here ({})",
                             last_line(started.err.empty() ? started.out : started.err)),
                   false};
    Words words = clean(folder_ / "two.h5");
    words.insert(words.end(), {"--run.ranks_per_image", "2"});
    dwgf(words, launcher);
    require_same("two.h5");
  }

  void require_same(const char* name) const {
    const ResultsFile one = ResultsFile::open_for_reading(folder_ / "one.h5"),
                      other = ResultsFile::open_for_reading(folder_ / name);
    for (const std::int64_t row : {0, 1})
      if (one.read(kMean, row) != other.read(kMean, row))
        throw Failed{formatted("the posterior mean of image {} has other bits", row)};
  }

  void goes_on() {
    dwgf(restore(folder_ / "y.h5", folder_ / "one.h5"));
    if (dwgf({"status", folder_ / "one.h5"}).out.find("2 done") == std::string::npos)
      throw Failed{"`dwgf status` does not say that 2 images are done"};
  }

  void verifies() { dwgf({"verify", folder_ / "one.h5"}); }

  void is_good() {
    const auto said = nlohmann::json::parse(dwgf({"evaluate", folder_ / "one.h5", "--json"}).out);
    const auto& psnr = said.at("summary").at("psnr");
    const double mean = psnr.at("mean").get<double>(), baseline = psnr.at("baseline").get<double>();
    if (!(mean > baseline))
      throw Failed{formatted("PSNR {} dB, and bicubic interpolation has {} dB", mean, baseline)};
  }

  void shows() {
    dwgf({"report", folder_ / "one.h5", "--to", folder_ / "page.html"});
    dwgf({"export", folder_ / "one.h5", "--to", folder_ / "pictures"});
    if (text_in(folder_ / "page.html").find("posterior mean") == std::string::npos ||
        !fs::exists(folder_ / "pictures/contact_sheet.png"))
      throw Failed{"the page or the contact sheet is not there"};
  }

  TemporaryFolder folder_;
  std::string program_;
};

}  // namespace

ExitCode selftest_command() {
  const auto start = Clock::now();
  const bool passed = SelfTest().passed();
  const std::chrono::duration<double> seconds = Clock::now() - start;
  std::printf("%s, in %.0f s\n", passed ? "this copy works" : "this copy does not work", seconds.count());
  return passed ? ExitCode::ok : ExitCode::internal;
}

}  // namespace dwgf
