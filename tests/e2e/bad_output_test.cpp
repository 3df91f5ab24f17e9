// Results that cannot be written, or must not be: exit code 74, or 64 and 65 where a file is in the way.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "refusals.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class BadOutput : public testing::Test {
 protected:
  fs::path folder = new_folder("output");
  fs::path images = make_array(folder / "images.npy", 3);
};

TEST_F(BadOutput, PlacesThatCannotBeWrittenToAreNamed) {
  write_text(folder / "file", "a regular file");
  fs::create_symlink("loop", folder / "loop");
  const auto job = [&](const fs::path& out) { return small_job(images, out); };
  expect_refusals({
      {"directory missing",
       job(folder / "absent/r.h5"),
       74,
       {"store.out", "absent", "does not exist", "mkdir"}},
      {"below a file", job(folder / "file/r.h5"), 74, {"store.out", "file", "not a directory"}},
      {"name too long", job(folder / (std::string(300, 'a') + ".h5")), 74, {"store.out", "aaa.h5"}},
      {"link to itself", job(folder / "loop"), 74, {"store.out", "loop"}},
      {"in /proc", job("/proc/r.h5"), 74, {"store.out", "/proc"}},
  });
  EXPECT_EQ(read_text(folder / "file"), "a regular file");
}

// A file system of the test's own, as large as it says; mounted where only the command sees it.
TEST_F(BadOutput, AFullDiskNamesThePlaceAndTheBytesAndIsMetBeforeAnyWork) {
  const fs::path small = new_folder("small");
  const auto on_disk_of = [&](const std::string& size, const Arguments& command) {
    const std::string words = "mount -t tmpfs -o size=" + size + " tmpfs '" + small.string() + "' && \"$@\"";
    return start_command(Arguments{"unshare", "-m", "bash", "-c", words, "disk"} + command)
        .wait(std::chrono::seconds(kPatience));
  };
  if (on_disk_of("1m", {"true"}).code != 0) GTEST_SKIP() << "this user may not mount a file system";
  const Arguments job = small_job(images, small / "r.h5");
  expect_refused(on_disk_of("64k", command_line(2, job)), 74, {small.string(), "bytes"});
  expect_code(on_disk_of("2m", command_line(2, job)), 0);

  // Where the results have room and the test of the file system has none; and what is left of it.
  const auto left_on = [&](const std::string& size, const Arguments& command) {
    const std::string words = "mount -t tmpfs -o size=" + size + " tmpfs '" + small.string() +
                              "' && \"$@\"; code=$?; ls '" + small.string() + "'; exit $code";
    return start_command(Arguments{"unshare", "-m", "bash", "-c", words, "disk"} + command)
        .wait(std::chrono::seconds(kPatience));
  };
  const Finished tight = left_on("240k", command_line(4, job));
  expect_refused(tight, 74, {small.string(), "to test the file system"});
  EXPECT_EQ(tight.out, "");
  const Finished measured =
      left_on("64k", command_line(2, {"degrade", "--input.data", images, "--input.channels", "3",
                                      "--store.out", small / "y.h5"}));
  expect_refused(measured, 74, {"y.h5", "bytes"});
  EXPECT_EQ(measured.out, "");
}

TEST_F(BadOutput, ADirectoryWithoutPermissionIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const fs::path locked = new_folder("locked");
  chmod(locked.c_str(), 0500);
  expect_refusals(
      {{"read-only", small_job(images, locked / "r.h5"), 74, {"store.out", "locked", "not writable"}}});
}

TEST_F(BadOutput, AForeignFileInTheWayIsLeftAsItIs) {
  write_text(folder / "notes.h5", "my notes\n");
  expect_refusals({
      {"foreign file", small_job(images, folder / "notes.h5"), 65, {"notes.h5", "store.out"}},
      {"the images themselves", small_job(images, images), 65, {"images.npy", "store.out"}},
      {"a directory", small_job(images, folder), 65, {folder.string(), "store.out"}},
  });
  EXPECT_EQ(read_text(folder / "notes.h5"), "my notes\n");
}

TEST_F(BadOutput, ResultsOfAnotherJobAreLeftAsTheyAreAndTheDifferencesTold) {
  const fs::path out = folder / "r.h5";
  expect_code(run(0, small_job(images, out)), 0);
  const std::string before = read_text(out);
  make_array(folder / "more.npy", 4);
  expect_refusals({
      {"another seed",
       small_job(images, out, {"--flow.seed", "5"}),
       64,
       {"r.h5", "flow.seed", "'5'", "'0'", "store.out"}},
      {"several",
       small_job(images, out, {"--flow.steps", "3", "--problem.sigma", "0.2"}),
       64,
       {"flow.steps", "problem.sigma"}},
      {"other images", small_job(folder / "more.npy", out), 64, {"r.h5", "images"}},
      {"another slice", small_job(images, out, {"--input.first", "1"}), 64, {"r.h5", "input.first"}},
  });
  EXPECT_TRUE(read_text(out) == before) << "the file of the other job was changed";
}

TEST_F(BadOutput, TruncatedResultsAreNotGoneOnWith) {
  const fs::path out = folder / "r.h5";
  expect_code(run(0, small_job(images, out)), 0);
  cut(out, folder / "cut.h5", fs::file_size(out) - 4096);
  const std::string before = read_text(folder / "cut.h5");
  expect_refusals({{"truncated", small_job(images, folder / "cut.h5"), 65, {"cut.h5", "truncated"}}});
  EXPECT_TRUE(read_text(folder / "cut.h5") == before);
}

// Rank 1 alone may write no file beyond 8 MiB, as if its disk were full; its rows of the results lie behind
// that.
TEST_F(BadOutput, ARankThatFailsAloneEndsAllWithOneMessage) {
  const Arguments job =
      small_job(images, folder / "large.h5",
                {"--flow.particles", "100", "--flow.steps", "1", "--store.particles", "float64",
                 "--run.ranks_per_image", "3"});  // so that no rank goes without images to write
  const std::vector<std::string> dwgf = Arguments{program()} + job;
  const std::vector<std::string> limited =
      Arguments{"bash", "-c", "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "limited"} + dwgf;
  Process process = start_command(Arguments{DWGF_MPIEXEC, "-n", "1"} + dwgf + Arguments{":", "-n", "1"} +
                                  limited + Arguments{":", "-n", "1"} + dwgf);
  expect_refused(process.wait(std::chrono::seconds(kPatience)), 74,
                 {"rank 1 of 3", "large.h5", "cannot be written"});
}

// A limit on the size of files comes with a signal that ends a process which does not expect it.
TEST_F(BadOutput, AFileSizeLimitOfTheBatchSystemIsAnErrorLikeAFullDisk) {
  const Arguments job =
      small_job(images, folder / "large.h5",
                {"--flow.particles", "200", "--flow.steps", "1", "--store.particles", "float64"});
  Process process =
      start_command(Arguments{"bash", "-c", "ulimit -f 8192; exec \"$@\"", "limited"} + command_line(2, job));
  expect_refused(process.wait(std::chrono::seconds(kPatience)), 74, {"large.h5"});
}

TEST_F(BadOutput, ResultsThatCannotBePrintedAreAnError) {
  const fs::path out = folder / "r.h5";
  expect_code(run(0, small_job(images, out)), 0);
  for (const std::string command : {"evaluate", "status", "verify"}) {
    SCOPED_TRACE(command);
    const std::string words = "exec \"$0\" " + command + " \"$1\" > /dev/full";
    Process process = start_command({"bash", "-c", words, program(), out});
    expect_refused(process.wait(std::chrono::seconds(kPatience)), 74, {"standard output"});
  }
}

}  // namespace
}  // namespace dwgf::test
