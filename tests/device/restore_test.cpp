// `restore` itself on the guarded device: the same bits on one, two and three ranks that share it, for every
// preset and method.
#include "job/restore.hpp"

#include <filesystem>
#include <optional>

#include <ATen/Parallel.h>
#include <e2e/results_bits.hpp>
#include <support/guarded_memory.hpp>
#include <unistd.h>

#include <dwgf/comm/mpi.hpp>

#include "base/signals.hpp"
#include "data/npy.hpp"
#include "device_cases.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class DeviceRestore : public testing::Test {
 protected:
  DeviceRestore() {
    folder = world.broadcast_text(
        (fs::temp_directory_path() / formatted("dwgf-device-{}", ::getpid())).string(), 0);
    if (world.rank() == 0) {
      fs::create_directories(folder);
      for (const std::int64_t size : {4, 32}) {
        const at::Tensor images = waves({2, 3, size, size}, at::kFloat);
        const float* first = images.data_ptr<float>();
        write_npy(images_of(size), {2, 3, size, size}, {first, first + images.numel()});
      }
      write_moments(folder / "moments.safetensors", *small_prior(at::kCPU, at::kFloat)->moments);
    }
    world.barrier();
  }
  ~DeviceRestore() override {
    world.barrier();
    std::error_code ignored;
    if (world.rank() == 0) fs::remove_all(folder, ignored);
  }

  std::string images_of(std::int64_t size) const { return folder / formatted("images{}.npy", size); }

  /// Collective over `ranks`, which share every image.
  ExitCode restored(Communicator& ranks, const DeviceCase& one, const std::string& out,
                    const std::vector<std::string>& more = {}) const {
    const std::vector<std::string> words = {
        "--input.data",          images_of(one.prior == "mixture.h5" ? 4 : 32),
        "--prior.path",          std::string(DWGF_TEST_DATA) + "/prior/" + one.prior,
        "--prior.moments",       folder / "moments.safetensors",
        "--problem.operator",    "mean:2",
        "--flow.particles",      "3",
        "--flow.grid",           "20",
        "--flow.steps",          "2",
        "--run.ranks_per_image", "3",
        "--store.latents",       "float32",
        "--store.out",           folder / out};
    const std::vector<std::string> all = with_options(with_options(words, one.options), more);
    ScopedSignals signals;
    return restore(ranks, parse_settings(*find_command("restore"), all), signals);
  }

  /// On one, two and all ranks.
  void expect_same_bits(const DeviceCase& one) {
    SCOPED_TRACE(one.name);
    const std::string name = one.name;
    EXPECT_EQ(restored(world, one, name + " all.h5"), ExitCode::ok);
    if (world.size() < 3) return;
    Communicator part = world.split(world.rank() < 2 ? 0 : 1, world.rank());
    if (world.rank() < 3) {
      EXPECT_EQ(restored(part, one, name + (world.rank() < 2 ? " two.h5" : " one.h5")), ExitCode::ok);
    }
    world.barrier();
    if (world.rank() != 0) return;
    const ResultsBits alone = bits_of(folder / (name + " one.h5"));
    EXPECT_EQ(alone.size(), 2u);
    EXPECT_EQ(difference(bits_of(folder / (name + " two.h5")), alone), "");
    EXPECT_EQ(difference(bits_of(folder / (name + " all.h5")), alone), "");
    EXPECT_NE(system_of(name + " all.h5").find("computes on guarded: a guarded device; made of pages;"),
              std::string::npos)
        << system_of(name + " all.h5");
  }

  std::string system_of(const std::string& out) const {
    return ResultsFile::open_for_reading(folder / out).layout().attributes.at("system");
  }

  Communicator world = Communicator::world();
  fs::path folder;
};

TEST_F(DeviceRestore, GivesTheSameBitsOnEveryNumberOfRanks) {
  for (const DeviceCase& one : device_cases()) expect_same_bits(one);
}

TEST_F(DeviceRestore, GivesTheSameBitsInWindowsOnEveryNumberOfRanks) {
  const std::vector<std::string> windows = {"--prior.window", "4", "--prior.overlap", "1"};
  expect_same_bits({"shared particles", windows});
  // One particle, whose windows the ranks share.
  expect_same_bits({"shared windows", with_options(windows, {"--flow.particles", "1"})});
}

TEST_F(DeviceRestore, DoesNotMixKindsOfDevicesUnasked) {
  const DeviceCase fast = device_cases()[1];
  EXPECT_EQ(restored(world, fast, "mixed.h5", {"--run.device", "cpu"}), ExitCode::ok);
  EXPECT_NE(system_of("mixed.h5").find("computes on the CPU;"), std::string::npos) << system_of("mixed.h5");
  EXPECT_EQ(restored(world, fast, "mixed.h5"), ExitCode::ok) << "nothing is left to do";
  world.barrier();
  if (world.rank() == 0) {
    auto file = ResultsFile::open_for_writing(folder / "mixed.h5", Communicator::self());
    file.withdraw(1);
    file.close();
  }
  world.barrier();
  try {
    restored(world, fast, "mixed.h5");
    ADD_FAILURE() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_NE(std::string(error.what()).find("computed on the CPU, and this job computes on guarded"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(restored(world, fast, "mixed.h5", {"--run.device", "cuda"}), ExitCode::ok) << "asked for";
}

TEST_F(DeviceRestore, RanksThatShareADeviceAreNotConnectedDirectly) {
  EXPECT_THROW(restored(world, device_cases()[1], "never.h5", {"--run.exchange", "nccl"}), UsageError);
  EXPECT_FALSE(fs::exists(folder / "never.h5"));
}

TEST_F(DeviceRestore, ImagesThatTheDeviceHasNoMemoryForAreRecordedAsFailed) {
  auto& memory = guarded::Memory::instance();
  const std::size_t limit = memory.limit();
  memory.restart_peak();
  EXPECT_EQ(restored(world, device_cases()[1], "long.h5"), ExitCode::ok);
  memory.set_limit(memory.peak() - 1);  // the prior fits, and a step does not
  const ExitCode code = restored(world, device_cases()[1], "short.h5");
  memory.set_limit(limit);
  EXPECT_EQ(code, ExitCode::some_images_failed);
  if (world.rank() == 0) {
    // What is kept of the first image's calls makes the second one the larger.
    const auto file = ResultsFile::open_for_reading(folder / "short.h5");
    const std::string reasons = file.reason(0) + file.reason(1);
    EXPECT_NE(reasons.find("out of memory"), std::string::npos) << reasons;
  }
}

}  // namespace
}  // namespace dwgf::test
