#include "prior/files/mapped_file.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

struct Descriptor {
  int value;
  ~Descriptor() { ::close(value); }
};

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // Non-blocking, so that opening a pipe cannot wait for ever; it does not matter to a regular file.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) {
    const std::string reason = std::strerror(errno);
    if (errno == ENOENT || errno == ENOTDIR) throw NotFoundError("no such file: {}", path.string());
    throw IoError("cannot open {} ({})", path.string(), reason);
  }
  struct stat status {};
  if (::fstat(file.value, &status) != 0)
    throw IoError("cannot examine {} ({})", path.string(), std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw DataError("{} is not a regular file", path.string());
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) throw DataError("{} is empty; fetch it again", path.string());
  std::error_code ignored;
  identity_ = {.path = std::filesystem::canonical(path, ignored).string(),
               .device = status.st_dev,
               .inode = status.st_ino,
               .size = size_,
               .modified = nanoseconds(status.st_mtim),
               .changed = nanoseconds(status.st_ctim)};
  void* const address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.value, 0);
  if (address == MAP_FAILED)
    throw IoError("cannot map {} into memory ({})", path.string(), std::strerror(errno));
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      identity_(std::move(other.identity_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    identity_ = std::move(other.identity_);
  }
  return *this;
}

void MappedFile::release(std::span<const std::byte> part) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // only advice
}

}  // namespace dwgf
