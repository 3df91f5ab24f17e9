/// A process that has loaded all of the program and LibTorch once, and runs it in a fork for every start: a
/// start costs milliseconds, while the exit code, the signals and the memory are those of a process of its
/// own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace dwgf::test {

/// What a process starts with.
struct Launch {
  std::vector<std::string> command;
  std::vector<std::string> environment;  ///< NAME=VALUE
  std::filesystem::path folder;          ///< the working directory
  std::filesystem::path out, err;        ///< standard output and standard error
};

/// In a child: takes the working directory, the three standard streams and the death of the parent as
/// `launch` says. Returns false if that failed.
bool settle_in(const Launch& launch);

class ForkServer {
 public:
  /// Starts `program` (support/fork_server.cpp) with this environment.
  ForkServer(const std::string& program, const std::vector<std::string>& environment);
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;
  ~ForkServer();

  /// Runs the dwgf program with the words of `launch.command` in a new process, which is a child of this one.
  /// @pre `adopt_orphans` was called. Throws std::runtime_error if the server has died
  pid_t start(const Launch& launch);

 private:
  int socket_ = -1;
  pid_t server_ = -1;
};

/// Texts over a stream socket, between the two. Both throw std::runtime_error when the other end is closed.
void send_texts(int socket, const std::vector<std::string>& texts);
std::vector<std::string> receive_texts(int socket);

}  // namespace dwgf::test
