#include "base/replace_file.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"

namespace dwgf {
namespace {

[[noreturn]] void refuse_existing(const std::string& path) {
  throw IoError("the file {} exists already and is not overwritten; remove it or name another file", path);
}

}  // namespace

void replace_file(const std::string& path, std::initializer_list<std::span<const std::byte>> parts) {
  const std::string aside = path + std::string(kPartSuffix);
  std::size_t bytes = 0;
  for (const auto& part : parts) bytes += part.size();
  const auto fail = [&](const char* what) {
    const int error = errno;
    std::remove(aside.c_str());
    throw IoError("{} cannot be {}: {}; check that {} exists, is writable and has {} bytes of space", path,
                  what, system_text(error), directory_of(path), bytes);
  };
  std::FILE* file = std::fopen(aside.c_str(), "wbe");
  if (!file) fail("created");
  bool written = true;
  for (const auto& part : parts) {
    written = written && (part.empty() || std::fwrite(part.data(), 1, part.size(), file) == part.size());
  }
  const int error = errno;
  const bool closed = std::fclose(file) == 0;
  if (!written) errno = error;
  if (!written || !closed) fail("written");
  if (std::rename(aside.c_str(), path.c_str()) != 0) fail("given its name");
}

std::string directory_of(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  return directory.empty() ? "." : directory.string();
}

void require_absent(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) refuse_existing(path);
}

void publish_file(const std::string& aside, const std::string& path) {
  int error = renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  if (error == EINVAL || error == ENOSYS) {  // a file system without that
    error = link(aside.c_str(), path.c_str()) == 0 ? 0 : errno;
    if (error == 0) unlink(aside.c_str());
  }
  if (error == EEXIST) refuse_existing(path);
  if (error != 0) throw IoError("renaming {} to {}: {}", aside, path, system_text(error));
  // The name itself has to reach the disk as well.
  if (const int directory = ::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      directory >= 0) {
    fsync(directory);
    ::close(directory);
  }
}

}  // namespace dwgf
