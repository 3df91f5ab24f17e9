/// A file descriptor that closes itself, and reads that are whole or an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace dwgf {

class PosixFile {
 public:
  PosixFile() = default;
  /// Throws NotFoundError (no such file), DataError (a directory), IoError (not readable).
  static PosixFile open_for_reading(const std::string& path);
  /// As above; what is open can be synchronised to disk.
  static PosixFile open_for_writing(const std::string& path);

  PosixFile(PosixFile&& other) noexcept;
  PosixFile& operator=(PosixFile&& other) noexcept;
  ~PosixFile();

  std::uint64_t size() const { return size_; }  ///< when it was opened
  const std::string& path() const { return path_; }

  /// Fills `out` from `offset` on. Throws DataError where the file ends before, IoError.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  /// What anyone wrote into this file is on the disk afterwards (as far as this host knows of it). Throws
  /// IoError.
  void sync() const;
  /// Throws IoError unless the open file is still the one of that name: what is written into one that was
  /// removed or replaced is lost without an error.
  void require_in_place() const;

 private:
  PosixFile(const std::string& path, int flags);
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// "No such file or directory" for an errno.
std::string system_text(int error);

}  // namespace dwgf
