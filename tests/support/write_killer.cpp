// Preloaded into a program, it kills the process at its k-th system call that changes a file of interest: a
// write, a change of size, a new name, a removal. Or it has that call and all later ones fail, as on a disk
// that broke. Told by variables of the environment, because nothing of the program under test shall know of
// it:
//
//   DWGF_KILL_FILE   part of the path of the files of interest
//   DWGF_KILL_RANK   the MPI rank that is killed
//   DWGF_KILL_AT     k, from 1; 0: never
//   DWGF_KILL_TORN   1: the first half of that write still happens
//   DWGF_KILL_ERROR  the number of an error: the calls fail with it, and the process lives
//   DWGF_KILL_COUNT  a file that gets one byte for every such call
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

const char* text_of(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

bool chosen_rank() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (!rank) rank = std::getenv("PMI_RANK");  // MPICH
  return std::strcmp(rank ? rank : "0", text_of("DWGF_KILL_RANK")) == 0;
}

bool interesting(const char* path) {
  const char* part = text_of("DWGF_KILL_FILE");
  return *part != '\0' && std::strstr(path, part) != nullptr && chosen_rank();
}

bool interesting(int descriptor) {
  char name[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = readlink(link.c_str(), name, sizeof name - 1);
  if (length <= 0) return false;
  name[length] = '\0';
  return interesting(name);
}

template <class Function>
Function* next_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::atomic<long> calls{0};

// Whether this call is the last one.
bool is_last() {
  if (const char* path = text_of("DWGF_KILL_COUNT"); *path) {
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    static_cast<void>(!next_function<decltype(write)>("write")(file, "x", 1));
    close(file);
  }
  return ++calls == std::atol(text_of("DWGF_KILL_AT"));
}

// Whether this call fails, with errno set.
bool fails() {
  const int error = std::atoi(text_of("DWGF_KILL_ERROR"));
  const long at = std::atol(text_of("DWGF_KILL_AT"));
  if (error == 0 || at == 0 || calls < at) return false;
  errno = error;
  return true;
}

void die() {
  if (*text_of("DWGF_KILL_ERROR")) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

bool torn() {
  return *text_of("DWGF_KILL_TORN") == '1';
}

}  // namespace

extern "C" {

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  const auto next = next_function<decltype(pwrite)>("pwrite");
  if (interesting(descriptor) && is_last()) {
    if (torn()) static_cast<void>(!next(descriptor, bytes, size / 2, offset));
    die();
  }
  if (interesting(descriptor) && fails()) return -1;
  return next(descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off_t offset) {
  return pwrite(descriptor, bytes, size, offset);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  const auto next = next_function<decltype(write)>("write");
  if (interesting(descriptor) && is_last()) {
    if (torn()) static_cast<void>(!next(descriptor, bytes, size / 2));
    die();
  }
  if (interesting(descriptor) && fails()) return -1;
  return next(descriptor, bytes, size);
}

ssize_t pwritev(int descriptor, const struct iovec* parts, int count, off_t offset) {
  const auto next = next_function<decltype(pwritev)>("pwritev");
  if (interesting(descriptor) && is_last()) {
    if (torn()) static_cast<void>(!next(descriptor, parts, count / 2, offset));
    die();
  }
  if (interesting(descriptor) && fails()) return -1;
  return next(descriptor, parts, count, offset);
}

int ftruncate(int descriptor, off_t size) noexcept {
  if (interesting(descriptor) && is_last()) die();
  if (interesting(descriptor) && fails()) return -1;
  return next_function<int(int, off_t)>("ftruncate")(descriptor, size);
}

int ftruncate64(int descriptor, off_t size) noexcept {
  return ftruncate(descriptor, size);
}

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  if (interesting(descriptor) && is_last()) die();
  if (interesting(descriptor) && fails()) return -1;
  return next_function<int(int, int, off_t, off_t)>("fallocate")(descriptor, mode, offset, size);
}

int fallocate64(int descriptor, int mode, off_t offset, off_t size) {
  return fallocate(descriptor, mode, offset, size);
}

int fsync(int descriptor) {
  if (interesting(descriptor) && fails()) return -1;
  return next_function<decltype(fsync)>("fsync")(descriptor);
}

int rename(const char* from, const char* to) noexcept {
  if (interesting(to) && is_last()) die();
  if (interesting(to) && fails()) return -1;
  return next_function<int(const char*, const char*)>("rename")(from, to);
}

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  if (interesting(to) && is_last()) die();
  if (interesting(to) && fails()) return -1;
  return next_function<int(int, const char*, int, const char*, unsigned)>("renameat2")(
      from_directory, from, to_directory, to, flags);
}

int unlink(const char* path) noexcept {
  if (interesting(path) && is_last()) die();
  return next_function<int(const char*)>("unlink")(path);
}

int remove(const char* path) noexcept {
  if (interesting(path) && is_last()) die();
  return next_function<int(const char*)>("remove")(path);
}
}
