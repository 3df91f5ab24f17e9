/// A directory of this test program's own, the same on every rank, removed when the tests are over.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

class TemporaryDirectory : public testing::Environment {
 public:
  static std::filesystem::path& path() {
    static std::filesystem::path value;
    return value;
  }
  void SetUp() override {
    Communicator world = Communicator::world();
    const auto mine = std::filesystem::temp_directory_path() / ("dwgf-test-" + std::to_string(getpid()));
    path() = world.broadcast_text(mine.string(), 0);
    if (world.rank() == 0) std::filesystem::create_directories(path());
    world.barrier();
  }
  void TearDown() override {
    Communicator world = Communicator::world();
    world.barrier();
    if (world.rank() == 0) std::filesystem::remove_all(path());
  }
};

/// The path of a file in it.
inline std::string temporary(const std::string& name) {
  return (TemporaryDirectory::path() / name).string();
}

/// The same with the rank's number in the name, for files that every rank has of its own.
inline std::string temporary_of_rank(const std::string& name) {
  return temporary(std::to_string(Communicator::world().rank()) + "-" + name);
}

/// Writes a file of this content, as a new one: some file systems wait for the disk when an old one is cut
/// and filled again.
inline void write_content(const std::string& path, const std::string& content) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// Whether this run is the one for long tests in which nothing depends on the number of ranks.
inline bool on_one_rank() {
  return Communicator::world().size() == 1;
}

/// The message of the error that `call` throws, after checking its class; empty (and a failure) if it throws
/// none.
template <class Expected, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "an error of another class: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace dwgf
