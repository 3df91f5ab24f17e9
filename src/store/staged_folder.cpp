#include "store/staged_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "base/posix_file.hpp"
#include "comm/throw_on_all.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{16} << 20;
constexpr std::string_view kPrefix = "dwgf-staged-";

struct SourceFile {
  std::string name;  // relative
  std::uint64_t bytes = 0;
};

/// Every file below the folder, as lines "bytes name".
std::string list_files(const std::string& source) {
  std::error_code error;
  if (!fs::is_directory(source, error))
    throw NotFoundError(concat("'", source, "' is no folder; nothing to stage"));
  std::ostringstream lines;
  try {
    for (const auto& file :
         fs::recursive_directory_iterator(source, fs::directory_options::follow_directory_symlink)) {
      if (file.is_regular_file())
        lines << file.file_size() << ' ' << file.path().lexically_relative(source).generic_string() << '\n';
    }
  } catch (const fs::filesystem_error& failure) {
    throw IoError(concat("the folder '", source, "' cannot be listed: ", failure.what()));
  }
  return lines.str();
}

std::vector<SourceFile> parse_list(const std::string& text) {
  std::vector<SourceFile> files;
  std::istringstream lines(text);
  SourceFile file;
  while (lines >> file.bytes && lines.get() && std::getline(lines, file.name)) files.push_back(file);
  return files;
}

/// Removes the copies below `root` whose process is gone: a killed job cannot tidy up.
void remove_left_behind(const fs::path& root) {
  std::error_code ignored;
  for (fs::directory_iterator it(root, ignored), end; it != end; it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const auto process = static_cast<pid_t>(std::strtol(name.c_str() + kPrefix.size(), nullptr, 10));
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) fs::remove_all(it->path(), ignored);
  }
}

/// One file being written; its first error is kept until the end, so that the other nodes get their pieces
/// all the same.
class CopyWriter {
 public:
  CopyWriter(const fs::path& path, std::uint64_t whole_bytes) : path_(path), whole_bytes_(whole_bytes) {
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor_ < 0) note(errno);
  }
  ~CopyWriter() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  CopyWriter(const CopyWriter&) = delete;
  CopyWriter& operator=(const CopyWriter&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!error_ && !bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return note(errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  const std::optional<IoError>& error() const { return error_; }

 private:
  void note(int code) {
    error_ = IoError(concat("'", path_.string(), "' cannot be written (", system_text(code), ") on ",
                            host_name(), "; the weights need ", human_bytes(whole_bytes_), " there"));
  }

  fs::path path_;
  std::uint64_t whole_bytes_;
  int descriptor_ = -1;
  std::optional<IoError> error_;
};

}  // namespace

StagedFolder::StagedFolder(Communicator& world, std::span<const int> nodes, const std::string& source,
                           const std::string& root) {
  const int node = nodes[static_cast<std::size_t>(world.rank())];
  const auto first_of_node = std::find(nodes.begin(), nodes.end(), node) - nodes.begin();
  owner_ = first_of_node == world.rank();
  // Rank 0 is the first of its node, and so the first among the owners.
  Communicator owners = world.split(owner_ ? 0 : 1, world.rank());

  std::string listing;
  run_on_root(world, [&] { listing = list_files(source); });
  const std::vector<SourceFile> files = parse_list(world.broadcast_text(listing, 0));
  std::uint64_t whole_bytes = 0;
  for (const SourceFile& file : files) whole_bytes += file.bytes;

  Communicator node_ranks = world.split(node, world.rank());
  std::int64_t process = ::getpid();
  node_ranks.broadcast(std::as_writable_bytes(std::span(&process, 1)), 0);
  path_ = fs::path(root) / concat(kPrefix, process);

  std::optional<Error> failure;
  if (owner_) {
    remove_left_behind(root);
    std::error_code error;
    if (!fs::create_directory(path_, error)) {
      failure = IoError(concat("'", path_.string(), "' cannot be made (",
                               error ? error.message() : "it is there already", ") on ", host_name()));
    }
    std::vector<std::byte> piece(std::min<std::uint64_t>(kPiece, std::max<std::uint64_t>(whole_bytes, 1)));
    for (const SourceFile& file : files) {
      std::optional<PosixFile> in;
      CopyWriter out(path_ / file.name, whole_bytes);
      for (std::uint64_t done = 0; done < file.bytes; done += piece.size()) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file.bytes - done));
        const std::span<std::byte> part = std::span(piece).first(size);
        if (owners.rank() == 0 && !failure) {
          try {
            if (!in) in = PosixFile::open_for_reading((fs::path(source) / file.name).string());
            in->read(done, part);
          } catch (const Error& unreadable) {
            failure = unreadable;  // told at the end; the others take what comes until then
          }
        }
        owners.broadcast(part, 0);
        out.write(part);
      }
      if (!failure && out.error()) failure = *out.error();
    }
  }
  try {
    throw_on_all(world, [&] {
      if (failure) throw *failure;
    });
  } catch (...) {
    std::error_code ignored;
    if (owner_) fs::remove_all(path_, ignored);
    throw;
  }
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (owner_) fs::remove_all(path_, ignored);
}

}  // namespace dwgf
