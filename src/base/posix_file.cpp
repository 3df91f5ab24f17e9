#include "base/posix_file.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

std::string system_text(int error) {
  return std::generic_category().message(error);
}

PosixFile::PosixFile(const std::string& path, int flags)
    : path_(path), descriptor_(::open(path.c_str(), flags | O_CLOEXEC)) {
  if (descriptor_ < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      throw NotFoundError("{} does not exist; check the path (relative ones start at the working directory)",
                          path);
    }
    if (error == EISDIR) throw DataError("{} is a directory where a file is needed", path);
    throw IoError("{} cannot be opened: {}", path, system_text(error));
  }
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) {
    const int error = errno;
    ::close(std::exchange(descriptor_, -1));
    throw IoError("{} cannot be examined: {}", path, system_text(error));
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(std::exchange(descriptor_, -1));
    throw DataError("{} is not a regular file", path);
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

PosixFile PosixFile::open_for_reading(const std::string& path) {
  return PosixFile(path, O_RDONLY | O_NONBLOCK);
}
PosixFile PosixFile::open_for_writing(const std::string& path) {
  return PosixFile(path, O_RDWR);
}

PosixFile::PosixFile(PosixFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

PosixFile& PosixFile::operator=(PosixFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

PosixFile::~PosixFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PosixFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError("{} cannot be read at byte {}: {}", path_, offset + done, system_text(errno));
    if (got == 0) {
      throw DataError(
          "{} is truncated: it ends at byte {}, but {} are needed; copy it again from where it came from",
          path_, offset + done, offset + out.size());
    }
    done += static_cast<std::size_t>(got);
  }
}

void PosixFile::require_in_place() const {
  struct stat open {
  }, named{};
  if (fstat(descriptor_, &open) != 0)
    throw IoError("{} cannot be examined any more: {}", path_, system_text(errno));
  if (stat(path_.c_str(), &named) == 0 && open.st_ino == named.st_ino && open.st_dev == named.st_dev) return;
  throw IoError(
      "{} was removed or replaced while it was written ({} bytes, or the folder that it lies in); put it "
      "back and start again",
      path_, size_);
}

void PosixFile::sync() const {
  while (::fsync(descriptor_) != 0) {
    if (errno == EINTR) continue;
    throw IoError("{} cannot be written to the disk: {}; images since the last commit are not safe", path_,
                  system_text(errno));
  }
}

}  // namespace dwgf
