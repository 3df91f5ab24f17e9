#include <cstdint>
#include <stdexcept>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fork_server.hpp"

namespace dwgf::test {

namespace {

void send_all(int socket, const void* data, std::size_t size) {
  for (auto at = static_cast<const char*>(data); size > 0;) {
    const ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("the fork server is gone");
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

void receive_all(int socket, void* data, std::size_t size) {
  for (auto at = static_cast<char*>(data); size > 0;) {
    const ssize_t received = recv(socket, at, size, 0);
    if (received <= 0) throw std::runtime_error("the fork server is gone");
    at += received;
    size -= static_cast<std::size_t>(received);
  }
}

}  // namespace

void send_texts(int socket, const std::vector<std::string>& texts) {
  std::string message;
  for (const std::string& text : texts) message += text + '\0';
  const std::uint64_t size = message.size();
  send_all(socket, &size, sizeof size);
  send_all(socket, message.data(), message.size());
}

std::vector<std::string> receive_texts(int socket) {
  std::uint64_t size = 0;
  receive_all(socket, &size, sizeof size);
  std::string message(size, '\0');
  receive_all(socket, message.data(), size);
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < size; at = message.find('\0', at) + 1) texts.emplace_back(&message[at]);
  return texts;
}

bool settle_in(const Launch& launch) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a killed test takes the program with it, or mpirun and that its ranks
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(launch.out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  const int err = open(launch.err.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  const bool settled =
      chdir(launch.folder.c_str()) == 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2;
  for (const int file : {in, out, err})
    if (file > 2) close(file);
  return settled;
}

ForkServer::ForkServer(const std::string& program, const std::vector<std::string>& environment) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error("no socket for the fork server");
  socket_ = ends[0];
  std::vector<char*> variables;
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  variables.push_back(nullptr);
  std::string name = program, number = std::to_string(ends[1]);
  char* const words[] = {name.data(), number.data(), nullptr};
  server_ = fork();
  if (server_ < 0) throw std::runtime_error("fork failed");
  if (server_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(ends[1], F_SETFD, 0);
    execve(name.c_str(), words, variables.data());
    _exit(127);
  }
  close(ends[1]);
}

ForkServer::~ForkServer() {
  close(socket_);
  waitpid(server_, nullptr, 0);
}

pid_t ForkServer::start(const Launch& launch) {
  send_texts(socket_, launch.command);
  send_texts(socket_, launch.environment);
  send_texts(socket_, {launch.folder, launch.out, launch.err});
  return std::stoi(receive_texts(socket_).at(0));
}

}  // namespace dwgf::test
