// What dead jobs leave behind goes; whatever may belong to a living one stays.
#include "comm/leftovers.hpp"

#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {
namespace {

namespace fs = std::filesystem;

class Leftovers : public testing::Test {
 protected:
  void SetUp() override {
    if (Communicator::world().size() > 1) GTEST_SKIP() << "needs one rank only";
    fs::create_directories(sessions);
    fs::create_directories(segments);
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path make(const fs::path& path) const {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "some bytes";
    return path;
  }
  fs::path segment(const std::string& job) const {
    return make(segments / concat("vader_segment.", host_name(), ".", geteuid(), ".", job, ".0"));
  }
  fs::path session(pid_t process) const {
    make(sessions / concat("pid.", process, "/1/0/file"));
    return sessions / concat("pid.", process);
  }
  std::size_t remove() const { return remove_leftovers({segments, {folder, folder / "absent"}}).size(); }

  /// A process number that nobody has: that of a child that was waited for.
  static pid_t dead_process() {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
    return child;
  }

  fs::path folder = fs::temp_directory_path() / concat("dwgf-leftovers-", getpid());
  fs::path segments = folder / "shm", sessions = folder / concat("ompi.", host_name(), ".", geteuid());
};

TEST_F(Leftovers, OfDeadJobsAreRemovedAndNamed) {
  const fs::path segment_file = segment("5e030001"), session_folder = session(dead_process());
  const std::vector<std::string> removed = remove_leftovers({segments, {folder}});
  EXPECT_EQ(removed, (std::vector<std::string>{segment_file, session_folder}));
  EXPECT_FALSE(fs::exists(segment_file));
  EXPECT_FALSE(fs::exists(session_folder));
  EXPECT_TRUE(fs::exists(sessions));
  EXPECT_EQ(remove(), 0u);
}

TEST_F(Leftovers, OfALivingMpirunStay) {
  const fs::path own = session(getpid());
  EXPECT_EQ(remove(), 0u);
  EXPECT_TRUE(fs::exists(own / "1/0/file"));
}

TEST_F(Leftovers, ThatAProcessHasOpenOrMappedStay) {
  const fs::path mapped = segment("1"), open_one = segment("2"), free_one = segment("3");
  const fs::path session_folder = session(dead_process());
  int to_child[2], to_parent[2];
  ASSERT_EQ(pipe(to_child) + pipe(to_parent), 0);
  const pid_t child = fork();  // as a rank that outlives its mpirun for a moment
  if (child == 0) {
    char byte = 0;
    const int file = open(mapped.c_str(), O_RDWR);
    mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    const bool ready =
        open(open_one.c_str(), O_RDONLY) >= 0 && open((session_folder / "1/0/file").c_str(), O_RDONLY) >= 0;
    close(to_child[1]);
    _exit(!(ready && write(to_parent[1], "x", 1) == 1 && read(to_child[0], &byte, 1) == 0));
  }
  char byte = 0;
  EXPECT_EQ(read(to_parent[0], &byte, 1), 1);
  EXPECT_EQ(remove(), 1u);
  EXPECT_FALSE(fs::exists(free_one));
  for (const fs::path& kept : {mapped, open_one, session_folder}) EXPECT_TRUE(fs::exists(kept)) << kept;
  close(to_child[1]);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(remove(), 3u);
  for (const int end : {to_child[0], to_parent[0], to_parent[1]}) close(end);
}

TEST_F(Leftovers, OfOthersAndWhatOnlyLooksLikeThemStay) {
  const std::vector<fs::path> kept = {
      make(segments / concat("vader_segment.", host_name(), ".", geteuid() + 1, ".5e030001.0")),
      make(segments / concat("vader_segment.elsewhere.", geteuid(), ".5e030001.0")),
      make(segments / "another file"),
      make(sessions / "pid.12x/file"),
      make(sessions / "jf.77/file"),
      make(folder / concat("ompi.elsewhere.", geteuid()) / "pid.2147483/file"),
      make(folder / "target/file")};
  const fs::path link = segments / concat("vader_segment.", host_name(), ".", geteuid(), ".1.1");
  fs::create_symlink(folder / "target/file", link);
  fs::create_directory_symlink(folder / "target", sessions / concat("pid.", dead_process()));
  EXPECT_EQ(remove(), 0u);
  for (const fs::path& path : kept) EXPECT_TRUE(fs::exists(path)) << path;
  EXPECT_TRUE(fs::is_symlink(link));
}

}  // namespace
}  // namespace dwgf
