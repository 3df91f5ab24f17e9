#include "app/tensor_program.hpp"

#include <cerrno>
#include <filesystem>

#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"

namespace dwgf {

namespace fs = std::filesystem;

void become_tensor_program(char** argv) {
  std::error_code error;
  fs::path here = fs::read_symlink("/proc/self/exe", error);
  if (error) throw IoError("this program does not find its own file: /proc/self/exe: " + error.message());
  const fs::path folder = here.parent_path(), inner = "libexec/dwgf/dwgf";
  fs::path other = folder / inner;
  if (!fs::exists(other, error)) other = folder.parent_path() / inner;
  if (!fs::exists(other, error))
    throw NotFoundError(
        "this command is run by {} or {}, and neither is there; install or build dwgf again, and move the "
        "program together with libexec/",
        (folder / inner).string(), other.string());
  std::string self = here.string();
  argv[0] = self.data();
  execv(other.c_str(), argv);
  throw IoError("{} does not start: {}", other.string(), system_text(errno));
}

}  // namespace dwgf
