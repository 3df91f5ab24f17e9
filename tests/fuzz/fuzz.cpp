#include "fuzz.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

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
std::string damaged(const std::vector<std::string>& seeds, std::uint32_t number) {
  Mutator mutator(number);
  std::string content = content_of(seeds[number % seeds.size()]);
  mutator.change(content);
  return content;
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
  std::uint32_t sound = 0, refused = 0, faults = 0;
  for (std::uint32_t number = first; number < first + count; ++number) {
    const std::string& seed = target->seeds[number % target->seeds.size()];
    const std::string path = (folder / ("input" + fs::path(seed).extension().string())).string();
    write(path, damaged(target->seeds, number));
    try {
      target->read(path);
      ++sound;
    } catch (const InternalError& error) {
      ++faults;
      std::fprintf(stderr, "fuzz: %s %u: internal error: %s\n", argv[1], number, error.what());
    } catch (const Error& error) {
      ++refused;
      if (error.what()[0] == '\0') ++faults;
    } catch (const std::exception& error) {
      ++faults;
      std::fprintf(stderr, "fuzz: %s %u: %s\n", argv[1], number, error.what());
    }
  }
  fs::remove_all(folder);
  std::printf("%-14s %u inputs: %u read, %u refused, %u faults\n", argv[1], count, sound, refused, faults);
  return faults == 0 ? 0 : 1;
}

}  // namespace dwgf
