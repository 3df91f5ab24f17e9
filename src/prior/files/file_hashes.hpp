/// SHA-256 of weight files, each computed once: while its bytes are read anyway, and remembered in a small
/// file between runs.
///
/// A remembered hash is believed only for the very state of the file that was hashed: the same path, device,
/// inode, size, mtime and ctime, the last change more than two seconds before the hashing (within that, a
/// file system's clock may not tell a later change). The memory carries a hash of its own: a damaged one is
/// dropped and said so, never believed.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "prior/files/mapped_file.hpp"

namespace dwgf {

class FileHashes {
 public:
  /// With no memory.
  FileHashes() = default;
  /// With what `memory` remembers; a file that is not there is an empty memory. Never throws for its
  /// contents.
  explicit FileHashes(std::filesystem::path memory);

  /// The hash of a file in this state, where it is known.
  std::optional<std::string> find(const FileIdentity& file) const;
  void learn(const FileIdentity& file, std::string sha256);

  /// Writes what is known to the memory, aside and renamed; nothing where nothing was learnt. A failure costs
  /// the next run a hashing, so it is not an error.
  void remember() const;

  /// What was wrong with the memory, for the user; empty where nothing was.
  const std::string& warning() const { return warning_; }

 private:
  struct Known {
    FileIdentity file;
    std::string sha256;
    bool lasting = true;  ///< may be remembered
  };
  std::filesystem::path memory_;
  std::map<std::string, Known> known_;  // by path
  bool learnt_ = false;
  std::string warning_;
};

}  // namespace dwgf
