#include "replace_file.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>

#include <dwgf/base/error.hpp>

#include "posix_file.hpp"

namespace dwgf {

void replace_file(const std::string& path, std::initializer_list<std::span<const std::byte>> parts) {
  const std::string aside = path + ".part";
  const auto fail = [&](const char* what) {
    const int error = errno;
    std::remove(aside.c_str());
    throw IoError(concat(path, " cannot be ", what, ": ", system_text(error),
                         "; check that the directory exists, is writable and has space"));
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

}  // namespace dwgf
