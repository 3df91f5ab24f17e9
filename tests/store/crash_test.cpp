// What a kill or a power failure leaves of a results file, at every point of its life. A process that is
// killed leaves exactly the writes that it has finished (and perhaps half of the one under way), so the
// writes of a run are recorded, and the file is rebuilt from every beginning of that record. A power failure
// keeps what was synchronised and any choice of the writes since.
#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <vector>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace {

struct Event {
  enum Kind { write, resize, sync, publish, acknowledge } kind;
  std::size_t offset = 0;  // or the size, or the row
  std::vector<char> bytes;
};

struct Recorder {
  std::string file;  // end of the name of the file that is watched; none if empty
  std::vector<Event> events;

  bool watches(int descriptor) const {
    if (file.empty()) return false;
    char name[4096];
    const ssize_t length =
        readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), name, sizeof name);
    return length > 0 && std::string(name, static_cast<std::size_t>(length)).find(file) != std::string::npos;
  }
  void add_write(int descriptor, const void* bytes, std::size_t size, off_t offset) {
    const char* begin = static_cast<const char*>(bytes);
    if (watches(descriptor))
      events.push_back({Event::write, static_cast<std::size_t>(offset), {begin, begin + size}});
  }
};
Recorder recorder;

template <class Function>
Function* next_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// The program's own definitions come before the system's, also for the libraries.
extern "C" {
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  recorder.add_write(descriptor, bytes, size, offset);
  return next_function<decltype(pwrite)>("pwrite")(descriptor, bytes, size, offset);
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off_t offset) {
  recorder.add_write(descriptor, bytes, size, offset);
  return next_function<decltype(pwrite)>("pwrite")(descriptor, bytes, size, offset);
}
ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (!recorder.file.empty()) recorder.add_write(descriptor, bytes, size, lseek(descriptor, 0, SEEK_CUR));
  return next_function<decltype(write)>("write")(descriptor, bytes, size);
}
ssize_t pwritev(int descriptor, const struct iovec* parts, int count, off_t offset) {
  off_t at = offset;
  for (int k = 0; k < count; ++k) {
    recorder.add_write(descriptor, parts[k].iov_base, parts[k].iov_len, at);
    at += static_cast<off_t>(parts[k].iov_len);
  }
  return next_function<decltype(pwritev)>("pwritev")(descriptor, parts, count, offset);
}
int ftruncate(int descriptor, off_t size) noexcept {
  if (recorder.watches(descriptor))
    recorder.events.push_back({Event::resize, static_cast<std::size_t>(size), {}});
  return next_function<int(int, off_t)>("ftruncate")(descriptor, size);
}
int ftruncate64(int descriptor, off_t size) noexcept {
  return ftruncate(descriptor, size);
}
int fsync(int descriptor) {
  if (recorder.watches(descriptor)) recorder.events.push_back({Event::sync, 0, {}});
  return next_function<decltype(fsync)>("fsync")(descriptor);
}
int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  const auto next = next_function<int(int, const char*, int, const char*, unsigned)>("renameat2");
  const int code = next(from_directory, from, to_directory, to, flags);
  if (!recorder.file.empty() && code == 0) recorder.events.push_back({Event::publish, 0, {}});
  return code;
}
}

namespace dwgf {
namespace {

constexpr std::int64_t images = 3;

// A file as far as it was written.
struct Replay {
  std::vector<char> content;
  bool published = false;
  std::vector<std::int64_t> acknowledged;

  void apply(const Event& event, std::size_t limit = std::string::npos) {
    const std::size_t size = std::min(limit, event.bytes.size());
    if (event.kind == Event::write) {
      content.resize(std::max(content.size(), event.offset + size));
      std::copy_n(event.bytes.begin(), size, content.begin() + static_cast<std::ptrdiff_t>(event.offset));
    }
    if (event.kind == Event::resize) content.resize(event.offset);
    if (event.kind == Event::publish) published = true;
    if (event.kind == Event::acknowledge) acknowledged.push_back(static_cast<std::int64_t>(event.offset));
  }
};

std::vector<Event> record_run(const std::string& path, Durability durability) {
  recorder = {path, {}};
  const auto layout = small_layout(images);
  auto file = ResultsFile::create(path, layout, Communicator::self(), durability);
  for (std::int64_t row = 0; row < images; ++row) {
    if (row == 1) {  // goes on in another process
      file.close();
      file = ResultsFile::open_for_writing(path, Communicator::self(), durability);
    }
    for (const auto& dataset : layout.datasets) {
      const auto bytes = row_bytes_of(dataset, row);
      const auto half = dataset.row_values() / 2, value = static_cast<std::int64_t>(size_of(dataset.type));
      file.write(dataset.path, row, 0, std::span(bytes).first(half * value));
      file.write(dataset.path, row, half, std::span(bytes).subspan(half * value));
    }
    file.commit(row, file.compute_crc32(row), 1);
    recorder.events.push_back({Event::acknowledge, static_cast<std::size_t>(row), {}});
  }
  file.close();
  return std::exchange(recorder, {}).events;
}

// Opens what is left and checks every image that claims to be committed; the number of those.
std::int64_t verify(const Replay& replay, const std::string& path, bool all_acknowledged) {
  if (!replay.published) return 0;
  write_content(path, {replay.content.begin(), replay.content.end()});
  const auto file = ResultsFile::open_for_reading(path);
  std::int64_t committed = 0;
  for (std::int64_t row = 0; row < images; ++row) {
    const bool known = std::count(replay.acknowledged.begin(), replay.acknowledged.end(), row) > 0;
    if (all_acknowledged && known) {
      EXPECT_EQ(file.state(row), ImageState::committed);
    }
    if (file.state(row) != ImageState::committed) continue;
    ++committed;
    EXPECT_EQ(file.stored_crc32(row), expected_crc32(file.layout(), row));
    EXPECT_EQ(file.compute_crc32(row), file.stored_crc32(row));
    EXPECT_EQ(file.seconds(row), 1.0f);
  }
  return committed;
}

class Crash : public testing::TestWithParam<Durability> {};

TEST_P(Crash, AKillAtEveryWriteLosesNothingThatWasCommitted) {
  if (!on_one_rank()) return;
  const std::string path = temporary_of_rank("crash.h5"), rebuilt = temporary_of_rank("rebuilt.h5");
  const auto events = record_run(path, GetParam());
  Replay replay;
  std::int64_t most = 0, writes = 0;
  for (std::size_t k = 0; k < events.size(); ++k) {
    SCOPED_TRACE("event " + std::to_string(k) + " of " + std::to_string(events.size()));
    if (events[k].kind == Event::write && events[k].bytes.size() > 1) {
      Replay torn = replay;
      torn.apply(events[k], events[k].bytes.size() / 2);
      verify(torn, rebuilt, true);
    }
    writes += events[k].kind == Event::write;
    replay.apply(events[k]);
    most = std::max(most, verify(replay, rebuilt, true));
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_EQ(most, images);
  EXPECT_GT(writes, 50);

  // Nothing that wrote into the file went unseen.
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> actual{std::istreambuf_iterator<char>(in), {}};
  EXPECT_TRUE(actual == replay.content);
  std::filesystem::remove(path);
}

TEST(CrashOfPower, LosesNoDataOfACommittedImage) {
  if (!on_one_rank()) return;
  const std::string path = temporary_of_rank("power.h5"), rebuilt = temporary_of_rank("rebuilt.h5");
  const auto events = record_run(path, Durability::power_safe);
  Replay synced;                    // what is on the disk for certain
  std::vector<const Event*> since;  // and what may be
  std::uint64_t state = 12345;
  for (const Event& event : events) {
    const bool name_only = event.kind == Event::publish;
    if (event.kind == Event::sync) {
      for (const Event* earlier : since) synced.apply(*earlier);
      since.clear();
    } else if (name_only) {
      synced.apply(event);
    } else if (event.kind != Event::acknowledge) {
      since.push_back(&event);
    }
    for (int trial = 0; trial < 4;
         ++trial) {  // all but the last lost, all but the first, two choices by chance
      Replay left = synced;
      for (std::size_t k = 0; k < since.size(); ++k) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        const bool kept = trial == 0 ? k + 1 == since.size() : trial == 1 ? k == 0 : state >> 63;
        if (kept) left.apply(*since[k]);
      }
      verify(left, rebuilt, false);
    }
    ASSERT_FALSE(HasFailure());
  }
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Results, Crash, testing::Values(Durability::kill_safe, Durability::power_safe));

}  // namespace
}  // namespace dwgf
