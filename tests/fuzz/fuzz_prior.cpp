// The readers of a prior's directory: safetensors and configuration files. Beside a fault of any kind, an
// input that takes over a second of processor time is one, and, where AddressSanitizer counts allocations,
// one that makes its reader hold more than its own size and a mebibyte.
#include <algorithm>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "fuzz.hpp"
#include "prior/files/flow_scheduler_config.hpp"
#include "prior/files/safetensors.hpp"
#include "prior/files/scheduler_config.hpp"
#include "prior/models/autoencoder_config.hpp"
#include "prior/models/joint_transformer_config.hpp"
#include "prior/models/text_encoder_config.hpp"
#include "prior/models/tiny_autoencoder_config.hpp"
#include "prior/models/unet_config.hpp"
#include "store/mutation.hpp"

#if defined(__SANITIZE_ADDRESS__)
// As in <sanitizer/allocator_interface.h>, which not every GCC installs.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
extern "C" std::size_t __sanitizer_get_allocated_size(const volatile void*);
#endif

namespace {

using namespace dwgf;

constexpr std::int64_t kMostHeld = std::int64_t{1} << 20;  // beside the size of the file
constexpr double kMostSeconds = 1.0;

#if defined(__SANITIZE_ADDRESS__)
std::atomic<std::int64_t> held = 0, most_held = 0;

void count_allocation(const volatile void*, std::size_t size) {
  const std::int64_t now = held += static_cast<std::int64_t>(size);
  if (now > most_held) most_held = now;
}
void count_release(const volatile void* memory) {
  if (memory != nullptr) held -= static_cast<std::int64_t>(__sanitizer_get_allocated_size(memory));
}
#endif

/// Runs the reader, errors of its own included, and throws what is no Error where it takes too much.
void read_within_limits(const std::string& path, const std::function<void()>& read) {
  std::optional<Error> refusal;
#if defined(__SANITIZE_ADDRESS__)
  const std::int64_t before = held;
  most_held = before;
#endif
  const std::clock_t start = std::clock();
  try {
    read();
  } catch (const Error& error) {
    refusal = error;
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  if (seconds > kMostSeconds) throw std::runtime_error(formatted("took {} s", seconds));
#if defined(__SANITIZE_ADDRESS__)
  const std::int64_t allocated = most_held - before;
  if (allocated > static_cast<std::int64_t>(std::filesystem::file_size(path)) + kMostHeld)
    throw std::runtime_error(formatted("held {} bytes", allocated));
#endif
  if (refusal && refusal->code() == ExitCode::internal) throw std::runtime_error(refusal->what());
  if (refusal) throw *refusal;
}

void read_safetensors(const std::string& path) {
  read_within_limits(path, [&] {
    const SafetensorsFile file(path);
    for (const StoredTensor& tensor : file.tensors()) {
      for (const std::byte byte : file.bytes(tensor)) {
        [[maybe_unused]] static volatile std::byte last;
        last = byte;
      }
      if (tensor.dtype[0] == 'F' || tensor.dtype == "BF16") (void)file.view(tensor).sum().item<double>();
    }
  });
}

/// As each kind of configuration; refused where none takes it.
void read_config(const std::string& path) {
  read_within_limits(path, [&] {
    std::optional<Error> refusal;
    int taken = 0;
    const auto attempt = [&](auto read) {
      try {
        read();
        ++taken;
      } catch (const Error& error) {
        refusal = error;
      }
    };
    attempt([&] { read_unet_config(path); });
    attempt([&] { read_unconditional_unet_config(path); });
    attempt([&] { read_autoencoder_config(path); });
    attempt([&] { read_tiny_autoencoder_config(path); });
    attempt([&] { read_text_encoder_config(path); });
    attempt([&] { read_joint_transformer_config(path); });
    attempt([&] { DdpmSchedule schedule(read_scheduler_config(path)); });
    attempt([&] { (void)FlowMatchingPath(read_flow_scheduler_config(path)).levels(9); });
    attempt([&] {
      const auto config = read_few_step_config(path);
      if (config) FewStepSchedule(DdpmSchedule(read_scheduler_config(path)), *config).course(1);
    });
    if (taken == 0) throw *refusal;
  });
}

/// In every other input a word of the JSON text becomes another, of those that parsers and arithmetic stumble
/// over.
void change_words(std::string& content, std::uint32_t number) {
  static const std::vector<std::string> words = {"0",
                                                 "1",
                                                 "-1",
                                                 "-0",
                                                 "0.5",
                                                 "1e400",
                                                 "-1e400",
                                                 "1e-400",
                                                 "18446744073709551615",
                                                 "18446744073709551616",
                                                 "9223372036854775807",
                                                 "-9223372036854775808",
                                                 "4294967296",
                                                 "2147483648",
                                                 "1000000",
                                                 "1000001",
                                                 "null",
                                                 "true",
                                                 "false",
                                                 "\"\"",
                                                 "\"F32\"",
                                                 "\"F4\"",
                                                 "\"\\u0000\"",
                                                 "\"\\ud800\"",
                                                 "\"\xff\"",
                                                 "[]",
                                                 "{}",
                                                 "[[]]",
                                                 "[0,0]",
                                                 "[1,1,1,1,1,1,1,1,1]",
                                                 "[4294967296,4294967296]",
                                                 "[0,18446744073709551615]",
                                                 "NaN",
                                                 "Infinity",
                                                 "\"0\"",
                                                 std::string(2000, '['),
                                                 "\"" + std::string(3000, 'n') + "\""};
  Mutator mutator(number);
  if (number % 2 == 0) return mutator.change(content);
  for (std::size_t times = 1 + mutator.below(3); times > 0; --times) {
    const std::string ends = " ,:[]{}\n";
    std::size_t begin = mutator.below(content.size());
    while (begin > 0 && ends.find(content[begin - 1]) == std::string::npos) --begin;
    std::size_t end = begin;
    while (end < content.size() && ends.find(content[end]) == std::string::npos) ++end;
    content.replace(begin, end - begin, words[mutator.below(words.size())]);
  }
}

/// The same in the header of a safetensors file, whose length is set right again more often than not.
void change_header(std::string& content, std::uint32_t number) {
  Mutator mutator(number);
  std::uint64_t length = 0;
  content.copy(reinterpret_cast<char*>(&length), 8);
  std::string header = content.substr(8, length);
  const std::string data = content.substr(8 + length);
  change_words(header, number);
  length = header.size();
  content.assign(reinterpret_cast<const char*>(&length), 8);
  content += header + data;
  if (mutator.below(8) == 0) mutator.change(content);
}

}  // namespace

int main(int argc, char** argv) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_install_malloc_and_free_hooks(&count_allocation, &count_release);
#endif
  const std::string data = DWGF_TEST_DATA, prior = data + "/prior";
  return fuzz_main(
      argc, argv,
      {{"safetensors", {data + "/fuzz/small.safetensors"}, read_safetensors, false, change_header},
       {"config",
        {prior + "/sd1/unet/config.json", prior + "/sd2/unet/config.json", prior + "/sd2/vae/config.json",
         prior + "/sd1/scheduler/scheduler_config.json", prior + "/ddpm2/unet/config.json",
         prior + "/sdxl/unet/config.json", prior + "/sdxl/vae/config.json",
         prior + "/text/sdxl/text_encoder_2/config.json", prior + "/sd35/transformer/config.json",
         prior + "/sd3/scheduler/scheduler_config.json", prior + "/taesd/config.json",
         prior + "/lcm/scheduler/scheduler_config.json", prior + "/lcm/euler.json"},
        read_config,
        false,
        change_words}});
}
