// What grows with the number of images, shards and starts: descriptors, bytes read, images compared again.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "results_support.hpp"
#include "store/verified_rows.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

void write_row(ResultsFile& file, std::int64_t row) {
  for (const auto& dataset : file.layout().datasets)
    file.write(dataset.path, row, 0, row_bytes_of(dataset, row));
  file.commit(row, expected_crc32(file.layout(), row), 0.5f);
}

/// While it lives, this process may open at most so many files.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{std::min(most, before_.rlim_cur), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST(ManyRows, MoreShardsThanAProcessMayOpen) {
  const std::string path = temporary_of_rank("many-shards.h5");
  ResultsLayout layout = small_layout(600);
  layout.shards = 300;
  const FewDescriptors few(100);
  {
    auto file = ResultsFile::create(path, layout, Communicator::self(), Durability::kill_safe);
    EXPECT_EQ(file.shards().size(), 300u);
    for (std::int64_t row = 0; row < 600; row += 2) write_row(file, row);
    file.close();
  }
  {
    auto file = ResultsFile::open_for_writing(path, Communicator::self(), Durability::kill_safe);
    for (std::int64_t row = 1; row < 600; row += 2) write_row(file, row);
    file.withdraw(599);
    file.close();
  }
  const auto file = ResultsFile::open_for_reading(path);
  const std::vector<ImageState> states = file.states();
  for (std::int64_t row = 0; row < 599; ++row) {
    ASSERT_EQ(states[static_cast<std::size_t>(row)], ImageState::committed) << row;
    ASSERT_EQ(file.compute_crc32(row), file.stored_crc32(row)) << row;
  }
  EXPECT_EQ(states.back(), ImageState::not_done);
}

/// Bytes that this process has read from files, as the system counts them.
std::int64_t bytes_read() {
  std::ifstream counts("/proc/self/io");
  std::string name;
  std::int64_t value = 0;
  counts >> name >> value;
  return name == "rchar:" ? value : -1;
}

std::int64_t bytes_to_open(std::size_t images) {
  const std::string path = temporary_of_rank("many-rows.h5");
  fs::remove(path);
  ResultsFile::create(path, small_layout(images), Communicator::self(), Durability::kill_safe).close();
  const std::int64_t before = bytes_read();
  auto file = ResultsFile::open_for_writing(path, Communicator::self(), Durability::kill_safe);
  file.states();
  const std::int64_t bytes = bytes_read() - before;
  file.close();
  return bytes;
}

TEST(ManyRows, OpeningToWriteReadsAFewBytesAnImage) {
  if (bytes_read() < 0) GTEST_SKIP() << "this system does not count bytes";
  const std::int64_t few = bytes_to_open(1000), many = bytes_to_open(21000);
  EXPECT_GE(many - few, 20000 * 17) << "identity, height, width and state";
  EXPECT_LE(many - few, 20000 * 20);
}

class VerifiedRows : public testing::Test {
 protected:
  VerifiedRows() {
    auto file = ResultsFile::create(path, small_layout(3), Communicator::self());
    file.close();
  }
  void note(const std::vector<bool>& rows, NoteTime time) const {
    note_verified_rows(path, ResultsFile::open_for_reading(path).shards(), rows, time);
  }
  std::vector<bool> noted() const { return noted_verified_rows(ResultsFile::open_for_reading(path)); }

  std::string path = temporary_of_rank(
      "verified-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  const std::vector<bool> some = {true, false, true}, none = {false, false, false};
};

TEST_F(VerifiedRows, AreThoseThatWereNoted) {
  EXPECT_EQ(noted(), none) << "there is no note";
  note(some, NoteTime::at_end);
  EXPECT_EQ(noted(), some);
  note(some, NoteTime::before_writing);
  EXPECT_EQ(noted(), some) << "as after a kill";
}

TEST_F(VerifiedRows, AreNoneWhereTheFileWasWrittenOtherwise) {
  note(some, NoteTime::at_end);
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_EQ(noted(), none);
  note(some, NoteTime::before_writing);
  fs::copy_file(path, path + ".copy");
  fs::rename(path + ".copy", path);
  EXPECT_EQ(noted(), none) << "another file, after a kill";
}

TEST_F(VerifiedRows, AreNoneWhereTheNoteIsNotOne) {
  note(some, NoteTime::at_end);
  for (const char* text : {"", "{}", "[1, 2]", "\xff\xfe", "{\"writing\": 1, \"rows\": 3, \"files\": []}",
                           "{\"writing\": true, \"rows\": 3, \"files\": [], \"verified\": [[-1, 9]]}"}) {
    std::ofstream(path + ".verified") << text;
    EXPECT_EQ(noted(), none) << text;
  }
}

}  // namespace
}  // namespace dwgf
