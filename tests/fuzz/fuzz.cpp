#include "fuzz.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sys/wait.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "store/mutation.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void write(const std::string& path, const std::string& content) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// Input `number` of a target: one of its seeds, changed.
std::string damaged(const FuzzTarget& target, std::uint32_t number) {
  std::string content = content_of(target.seeds[number % target.seeds.size()]);
  if (target.change) {
    target.change(content, number);
  } else {
    Mutator(number).change(content);
  }
  return content;
}

enum Outcome { sound = 0, refused = 1, fault = 2, crash = 3 };

Outcome try_reading(const FuzzTarget& target, const std::string& path, std::uint32_t number) {
  const auto tell = [&](const char* what) {
    std::fprintf(stderr, "fuzz: %s %u: %s\n", target.name.c_str(), number, what);
    return fault;
  };
  try {
    target.read(path);
    return sound;
  } catch (const InternalError& error) {
    return tell(error.what());
  } catch (const Error& error) {
    return error.what()[0] ? refused : tell("an error without words");
  } catch (const std::exception& error) {
    return tell(error.what());
  }
}

Outcome try_in_a_process(const FuzzTarget& target, const std::string& path, std::uint32_t number) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    // What a handler of MPI's or the sanitizer's prints about HDF5's fault helps nobody here.
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, SIG_DFL);
    std::freopen("/dev/null", "w", stderr);
    _exit(try_reading(target, path, number));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return fault;
  if (!WIFEXITED(status) || WEXITSTATUS(status) > fault) return crash;
  return static_cast<Outcome>(WEXITSTATUS(status));
}

}  // namespace

std::vector<std::string> files_in(const std::string& folder, const std::string& ending) {
  std::vector<std::string> files;
  for (const auto& file : fs::directory_iterator(folder)) {
    const std::string path = file.path().string();
    if (file.is_regular_file() && (ending.empty() || path.ends_with(ending))) files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

int fuzz_main(int argc, char** argv, const std::vector<FuzzTarget>& targets) {
  if (argc < 3) {
    for (const FuzzTarget& target : targets) std::printf("%s\n", target.name.c_str());
    return 0;
  }
  const auto target = std::find_if(targets.begin(), targets.end(),
                                   [&](const FuzzTarget& candidate) { return candidate.name == argv[1]; });
  if (target == targets.end() || target->seeds.empty()) {
    std::fprintf(stderr, "fuzz: no target '%s' with seeds\n", argv[1]);
    return 64;
  }
  const auto count = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  const auto first = static_cast<std::uint32_t>(argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 0);
  const fs::path folder = fs::temp_directory_path() / ("dwgf-fuzz-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::uint32_t count_of[4] = {};
  for (std::uint32_t number = first; number < first + count; ++number) {
    const std::string& seed = target->seeds[number % target->seeds.size()];
    const std::string path = (folder / ("input" + fs::path(seed).extension().string())).string();
    write(path, damaged(*target, number));
    ++count_of[target->by_hdf5 ? try_in_a_process(*target, path, number)
                               : try_reading(*target, path, number)];
  }
  fs::remove_all(folder);
  std::printf("%-14s %u inputs: %u read, %u refused, %u faults", argv[1], count, count_of[sound],
              count_of[refused], count_of[fault]);
  if (target->by_hdf5) std::printf(", %u that HDF5 did not return from", count_of[crash]);
  std::printf("\n");
  return count_of[fault] == 0 && count_of[crash] == 0 ? 0 : 1;
}

}  // namespace dwgf
