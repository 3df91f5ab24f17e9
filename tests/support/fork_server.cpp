// The process that forks. It runs no tensor operation and starts no MPI itself, so it has no thread that a
// fork would lose.
#include "support/fork_server.hpp"

#include <cstdlib>
#include <stdexcept>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/program.hpp"
#include "tensor_commands.hpp"

extern char** environ;

namespace {

using namespace dwgf::test;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void run_program(Launch& launch) {
  prctl(PR_SET_NAME, "dwgf");
  if (!settle_in(launch)) _exit(127);
  std::vector<char*> words = pointers(launch.command), variables = pointers(launch.environment);
  environ = variables.data();
  const dwgf::ProgramParts parts{.front = words[0], .tensor_commands = dwgf::tensor_commands()};
  std::exit(dwgf::program(static_cast<int>(words.size()) - 1, words.data(), parts));
}

/// Through a process that ends at once, so that the client, which adopts orphans, is the new one's parent and
/// hears of its end.
std::string start(Launch& launch, int socket) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t between = fork();
  if (between == 0) {
    const pid_t self = getpid(), made = fork();
    if (made == 0) {
      while (getppid() == self) usleep(50);
      for (const int file : {ends[0], ends[1], socket}) close(file);
      run_program(launch);
    }
    const std::string number = std::to_string(made);
    _exit(write(ends[1], number.data(), number.size()) == static_cast<ssize_t>(number.size()) ? 0 : 1);
  }
  close(ends[1]);
  char number[32] = "";
  const ssize_t read_bytes = read(ends[0], number, sizeof number - 1);
  close(ends[0]);
  waitpid(between, nullptr, 0);
  if (read_bytes <= 0) throw std::runtime_error("fork failed");
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  const int socket = argc == 2 ? std::atoi(argv[1]) : -1;
  try {
    for (;;) {
      Launch launch;
      launch.command = receive_texts(socket);
      launch.environment = receive_texts(socket);
      const std::vector<std::string> paths = receive_texts(socket);
      launch.folder = paths.at(0), launch.out = paths.at(1), launch.err = paths.at(2);
      send_texts(socket, {start(launch, socket)});
    }
  } catch (const std::exception&) {
    return 0;  // the client has ended
  }
}
