#include "comm/leftovers.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {
namespace {

namespace fs = std::filesystem;

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
}

/// A file or folder of this user's own, not a link.
bool is_own(const fs::path& path, mode_t kind) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && status.st_uid == geteuid() && (status.st_mode & S_IFMT) == kind;
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    found.push_back(it->path());
  return found;
}

/// Files that processes have mapped or open: paths as the kernel gives them, and inodes, because another
/// process may see the same file under another path. An inode alone is enough to keep a file.
class FilesInUse {
 public:
  /// Nothing if a process of this user cannot be looked into.
  static std::optional<FilesInUse> look() {
    FilesInUse files;
    for (const fs::path& process : entries("/proc")) {
      if (!is_number(process.filename())) continue;
      // Open files before mapped ones: whoever is about to map a file has it open until then.
      if (!files.add_open(process) || !files.add_mapped(process)) return std::nullopt;
    }
    if (files.processes_ == 0) return std::nullopt;
    return files;
  }

  bool has(const fs::path& file) const {
    struct stat status {};
    return lstat(file.c_str(), &status) != 0 || inodes_.contains(status.st_ino) ||
           paths_.contains(file.string());
  }

 private:
  /// Whether it matters that a process cannot be looked into: it is there, this user's, and not the first of
  /// all, which is no rank (were it this one, it could look into itself). Ranks are dumpable; of others the
  /// kernel says that they are root's.
  static bool matters(const fs::path& process) {
    struct stat status {};
    return process.filename() != "1" && lstat(process.c_str(), &status) == 0 && status.st_uid == geteuid();
  }

  bool add_open(const fs::path& process) {
    std::error_code error;
    fs::directory_iterator it(process / "fd", error);
    if (error) return error.value() == ENOENT || error.value() == ESRCH || !matters(process);
    for (const fs::path& link : entries(process / "fd")) {
      struct stat status {};
      if (stat(link.c_str(), &status) == 0) inodes_.insert(status.st_ino);
    }
    struct stat folder {};
    if (stat((process / "cwd").c_str(), &folder) == 0) inodes_.insert(folder.st_ino);
    return true;
  }

  // "7fc26e200000-7fc26e601000 rw-s 00000000 fe:00 2146898    /dev/shm/NAME"
  bool add_mapped(const fs::path& process) {
    const std::string name = process / "maps";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> maps(std::fopen(name.c_str(), "re"), std::fclose);
    // The kernel's own processes and those that have ended have no memory.
    if (!maps) return errno == ENOENT || errno == ESRCH || !matters(process);
    ++processes_;
    char line[8192];
    while (std::fgets(line, sizeof line, maps.get())) {
      std::istringstream words(line);
      std::string range, rights, offset, device, path;
      ino_t inode = 0;
      if (!(words >> range >> rights >> offset >> device >> inode) || inode == 0) continue;
      inodes_.insert(inode);
      std::getline(words >> std::ws, path);
      paths_.insert(path);
    }
    return true;
  }

  std::set<ino_t> inodes_;
  std::set<std::string> paths_;
  std::size_t processes_ = 0;
};

bool is_gone(const std::string& process_number) {
  return kill(static_cast<pid_t>(std::atol(process_number.c_str())), 0) != 0 && errno == ESRCH;
}

bool any_in_use(const fs::path& folder, const FilesInUse& files) {
  if (files.has(folder)) return true;
  for (const fs::path& entry : entries(folder)) {
    if (is_own(entry, S_IFDIR) ? any_in_use(entry, files) : files.has(entry)) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> remove_leftovers(const LeftoverPlaces& places) {
  const std::string owner = concat(host_name(), ".", geteuid());
  const std::string segment_start = concat("vader_segment.", owner, ".");
  std::vector<fs::path> segments, sessions;
  for (const fs::path& path : entries(places.segments)) {
    if (path.filename().string().starts_with(segment_start) && is_own(path, S_IFREG))
      segments.push_back(path);
  }
  for (const std::string& root : places.roots) {
    const fs::path own = fs::path(root) / concat("ompi.", owner);
    if (!is_own(own, S_IFDIR)) continue;
    for (const fs::path& path : entries(own)) {
      const std::string name = path.filename();
      if (name.starts_with("pid.") && is_number(name.substr(4)) && is_own(path, S_IFDIR) &&
          is_gone(name.substr(4)))
        sessions.push_back(path);
    }
  }
  std::vector<std::string> removed;
  if (segments.empty() && sessions.empty()) return removed;

  // What is used is asked for after what is there: a file of before that is used by now is seen to be.
  const std::optional<FilesInUse> files = FilesInUse::look();
  if (!files) return removed;
  std::error_code error;
  for (const fs::path& segment : segments) {
    if (!files->has(segment) && fs::remove(segment, error)) removed.push_back(segment);
  }
  for (const fs::path& session : sessions) {
    if (any_in_use(session, *files)) continue;
    fs::remove_all(session, error);
    if (!error) removed.push_back(session);
  }
  return removed;
}

}  // namespace dwgf
