/// Loading takes the weights in their working precision and one stored tensor more, not the files beside
/// them.
#include <cstdint>
#include <fstream>
#include <map>
#include <utility>

#include <malloc.h>

#include "prior/files/weights.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kTensors = 16, kNumbers = std::int64_t{1} << 20;  // 4 MiB each in float32

struct Large : torch::nn::Module {
  explicit Large(int, const at::TensorOptions& options) {
    for (std::int64_t i = 0; i < kTensors; ++i)
      register_parameter("t" + std::to_string(i), at::empty({kNumbers}, options), false);
  }
};

/// MiB of /proc/self/status.
double memory(const std::string& name) {
  std::ifstream in("/proc/self/status");
  std::string word;
  double kibibytes = 0.0;
  while (in >> word) {
    if (word == name && in >> kibibytes) break;
  }
  return kibibytes / 1024.0;
}

/// The peak counts from here on; false where the kernel does not let one.
bool restart_peak() {
  std::ofstream out("/proc/self/clear_refs");
  out << "5" << std::flush;
  return static_cast<bool>(out);
}

TEST(Loading, PeakMemoryIsTheWeightsAndOneTensor) {
  ASSERT_EQ(::mallopt(M_MMAP_THRESHOLD, 1 << 20),
            1);  // what is freed goes back, and counts again when it is taken
  test::TemporaryFolder folder;
  bool warm = false;  // the first round brings LibTorch's code into memory
  for (const auto stored : {at::kHalf, at::kFloat, at::kHalf}) {
    {
      std::map<std::string, at::Tensor> tensors;
      for (std::int64_t i = 0; i < kTensors; ++i)
        tensors["t" + std::to_string(i)] = at::full({kNumbers}, 0.5, stored);
      test::write_bytes(folder.path() / "model.safetensors", test::safetensors_bytes(tensors));
    }
    // Pages that other tests freed and the heap kept would be taken again without being counted.
    ::malloc_trim(0);
    if (!restart_peak()) GTEST_SKIP() << "the peak cannot be reset here";
    const double before = memory("VmRSS:"), before_of_own = memory("RssAnon:");
    FileHashes hashes;
    const Weights weights(folder.path(), "model");
    const auto model = load_model<Large>(0, weights, same_name, at::TensorOptions(at::kFloat), hashes);
    const double taken = memory("VmHWM:") - before, working = kTensors * kNumbers * 4.0 / (1 << 20);
    std::filesystem::remove(folder.path() / "model.safetensors");
    if (!std::exchange(warm, true)) continue;
    // Of anonymous memory alone: the kernel may take back pages of the program's own files at any time.
    EXPECT_GT(memory("RssAnon:") - before_of_own, 0.9 * working) << "what is measured is not the weights";
    EXPECT_LE(taken, working + 4.0 + 12.0) << "a tensor is 4 MiB, the slack of allocators three times that";
    EXPECT_EQ(hashes.at(weights.files()[0].file().identity()).size(), 64U);
  }
}

}  // namespace
}  // namespace dwgf
