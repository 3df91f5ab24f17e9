// The program that users start never loads LibTorch, and needs none for what computes nothing.
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

#include "finished_job.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

/// The program alone, without the tensor program beside it.
class Front : public FinishedJob {
 protected:
  static void SetUpTestSuite() {
    FinishedJob::SetUpTestSuite();
    fs::create_directory(folder / "bin");
    fs::copy_file(DWGF_PROGRAM, front());
  }
  static fs::path front() { return folder / "bin/dwgf"; }
  static Finished run_front(const Arguments& arguments) {
    return start_command(Arguments{front()} + arguments).wait(std::chrono::seconds(kPatience));
  }
};

TEST_F(Front, IsLinkedWithoutLibTorch) {
  const auto libraries = [](const fs::path& file) {
    return start_command({"ldd", file}).wait(std::chrono::seconds(60)).out;
  };
  EXPECT_FALSE(contains(libraries(DWGF_PROGRAM), "torch"));
  EXPECT_TRUE(contains(libraries(DWGF_PROGRAM), "libhdf5"));
  EXPECT_TRUE(contains(libraries(DWGF_TENSOR_PROGRAM), "libtorch_cpu"));
}

TEST_F(Front, DoesAloneWhatComputesNothing) {
  const struct {
    Arguments arguments;
    int code;
    const char *out, *err;
  } cases[] = {
      {{"--help"}, 0, "restore", ""},
      {{"restore", "--help"}, 0, "flow.steps", ""},
      {{"restore", "--help-operators"}, 0, "y = x", ""},
      {{"--version"}, 0, "dwgf ", ""},
      {{"completion", "bash"}, 0, "complete", ""},
      {{"status", results()}, 0, "3 images: 3 done", ""},
      {{"verify", results()}, 0, "3 right", ""},
      {{"merge", results(), "--to", folder / "merged.h5"}, 0, "3 committed", ""},
      {{"restor"}, 64, "", "did you mean 'restore'?"},
      {{"restore", "--flow.step", "3"}, 64, "", "flow.steps"},
      {{"evaluate"}, 64, "", "evaluate"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.arguments.front());
    const Finished finished = run_front(one.arguments);
    expect_code(finished, one.code);
    EXPECT_TRUE(contains(finished.out, one.out)) << finished.out;
    EXPECT_TRUE(contains(finished.err, one.err)) << finished.err;
  }
}

TEST_F(Front, SaysWhereItLookedForTheTensorProgram) {
  for (const Arguments& arguments : {job(), Arguments{"evaluate", results()}}) {
    const Finished finished = run_front(arguments);
    expect_code(finished, 66);
    EXPECT_TRUE(contains(finished.err, (folder / "bin/libexec/dwgf/dwgf").string())) << finished.err;
    EXPECT_TRUE(contains(finished.err, (folder / "libexec/dwgf/dwgf").string())) << finished.err;
    expect_readable(finished);
  }
}

TEST_F(Front, HandsOverWhatComputes) {
  // As installed: bin/dwgf and libexec/dwgf/dwgf.
  fs::create_directories(folder / "libexec/dwgf");
  fs::copy_file(DWGF_TENSOR_PROGRAM, folder / "libexec/dwgf/dwgf");
  const Finished evaluated = run_front({"evaluate", results(), "--json"});
  expect_code(evaluated, 0);
  EXPECT_TRUE(contains(evaluated.out, "\"psnr\""));
  Process process =
      start_command(Arguments{front()} +
                    small_job(pictures(), folder / "long.h5", {"--flow.grid", "900", "--flow.steps", "800"}));
  const fs::path image = "/proc/" + std::to_string(process.pid()) + "/exe",
                 tensors = folder / "libexec/dwgf/dwgf";
  while (process.running() && fs::read_symlink(image) != tensors)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_TRUE(process.running());
  kill(process.pid(), SIGKILL);
  EXPECT_EQ(process.wait(std::chrono::seconds(kPatience)).code, 128 + SIGKILL);
  fs::remove_all(folder / "libexec");
}

}  // namespace
}  // namespace dwgf::test
