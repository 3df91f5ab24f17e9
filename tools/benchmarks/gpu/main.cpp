// The blocks of tools/check-gpu that are not whole programs. Exit codes: 0 all good, 1 a row is WRONG or the
// block ended with an error, 64 wrong arguments, 77 there is no such device here.
//   check_gpu parts DEVICE
//   check_gpu weights FOLDER full|tiny
//   check_gpu agreement DEVICE PRIOR EDGE
//   check_gpu same-bits DEVICE PRIOR EDGE TIMES
//   check_gpu steps DEVICE PRIOR fp32|tf32|bf16|fp16 EDGE,... MICRO_BATCH,...
#include <cstdio>
#include <string>
#include <vector>

#include <dwgf/base/text.hpp>

#include "gpu/checks.hpp"

namespace {

using namespace dwgf::gpu;

std::vector<std::int64_t> numbers(const std::string& list) {
  std::vector<std::int64_t> values;
  for (const std::string& word : dwgf::split(list, ',')) values.push_back(std::stoll(word));
  return values;
}

/// False where no block has these arguments.
bool run(const std::vector<std::string>& words, dwgf::Communicator& world, Table& table) {
  const std::size_t count = words.size();
  const std::string block = count > 0 ? words[0] : "";
  if (block == "weights" && count == 3) {
    make_weights(words[1], words[2] == "tiny", table);
    return true;
  }
  if (count < 2) return false;
  CheckedDevice checked(world, words[1]);
  if (block == "parts" && count == 2) {
    check_parts(checked, table);
  } else if (block == "agreement" && count == 4) {
    check_agreement(checked, words[2], std::stoll(words[3]), table);
  } else if (block == "same-bits" && count == 5) {
    check_same_bits(checked, words[2], std::stoll(words[3]), std::stoi(words[4]), table);
  } else if (block == "steps" && count == 6) {
    time_steps(checked, words[2], words[3], numbers(words[4]), numbers(words[5]), table);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  dwgf::MpiSession session(argc, argv);
  dwgf::Communicator world = dwgf::Communicator::world();
  Table table;
  try {
    if (!run({argv + 1, argv + argc}, world, table)) return 64;
  } catch (const NoDevice& error) {
    std::fprintf(stderr, "check_gpu: %s\n", error.what());
    return 77;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    std::fprintf(stderr, "check_gpu: %s\n", text.substr(0, text.find('\n')).c_str());
    return 1;
  }
  return table.all_good() ? 0 : 1;
}
