#include "store/job_lock.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"

namespace dwgf {
namespace {

constexpr std::size_t kLongest = 4096;  // bytes that a job says, in one write

std::string lock_path(const std::string& results_path) {
  return results_path + ".running";
}

struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool same_file(int descriptor, const std::string& path) {
  struct stat open {
  }, named{};
  return fstat(descriptor, &open) == 0 && stat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

std::string content(int descriptor) {
  std::string text(kLongest, '\0');
  const ssize_t got = pread(descriptor, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text.substr(0, text.find('\n'));
}

}  // namespace

JobLock JobLock::acquire(const std::string& results_path) {
  JobLock lock;
  lock.path_ = lock_path(results_path);
  for (;;) {
    lock.descriptor_ = open(lock.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock.descriptor_ < 0) throw IoError("the lock {} cannot be made: {}", lock.path_, system_text(errno));
    struct flock wanted = whole_file(F_WRLCK);
    if (fcntl(lock.descriptor_, F_OFD_SETLK, &wanted) != 0) {
      if (errno != EAGAIN && errno != EACCES) return lock;  // a file system without locks
      close(std::exchange(lock.descriptor_, -1));
      throw UsageError(
          "'{}' is being written by another job; wait for its end, stop it, or name another file",
          results_path);
    }
    // Whoever held it before may have removed the file after this one was opened.
    lock.held_ = same_file(lock.descriptor_, lock.path_);
    if (lock.held_) return lock;
    close(std::exchange(lock.descriptor_, -1));
  }
}

JobLock::JobLock(JobLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), held_(other.held_) {}

JobLock& JobLock::operator=(JobLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(held_, other.held_);
  return *this;
}

JobLock::~JobLock() {
  if (descriptor_ < 0) return;
  if (same_file(descriptor_, path_)) unlink(path_.c_str());
  close(descriptor_);
}

void JobLock::say(const std::string& text) {
  std::string line = text.substr(0, kLongest - 1) + "\n";
  if (pwrite(descriptor_, line.data(), line.size(), 0) == static_cast<ssize_t>(line.size()))
    static_cast<void>(!ftruncate(descriptor_, static_cast<off_t>(line.size())));
}

JobSeen look_for_job(const std::string& results_path) {
  JobSeen seen;
  const int descriptor = open(lock_path(results_path).c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) seen.running = false;
    return seen;
  }
  struct flock held = whole_file(F_RDLCK);
  if (fcntl(descriptor, F_OFD_GETLK, &held) == 0) seen.running = held.l_type != F_UNLCK;
  seen.said = content(descriptor);
  struct stat status {};
  timespec now{};
  // The clock of the file system's stamps may be ahead of this one by a tick, or by more on another host.
  if (fstat(descriptor, &status) == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0)
    seen.seconds_silent = std::max(0.0, std::difftime(now.tv_sec, status.st_mtim.tv_sec) +
                                            1e-9 * static_cast<double>(now.tv_nsec - status.st_mtim.tv_nsec));
  close(descriptor);
  return seen;
}

}  // namespace dwgf
