/// A file read through memory mapping: pages come from the disk once for all processes of a host, which share
/// them in the page cache, and only when they are touched.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace dwgf {

/// What tells one state of one file from another without reading it. Whoever changes a file changes its
/// `changed`, which no program can set.
struct FileIdentity {
  std::string path;  ///< absolute, links resolved
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified = 0, changed = 0;  ///< mtime and ctime [ns]

  auto operator<=>(const FileIdentity&) const = default;
};

/// A whole file mapped read-only. Move-only; the destructor unmaps it.
class MappedFile {
 public:
  /// Throws NotFoundError where there is no such file, DataError where it is not a regular file or empty,
  /// IoError otherwise.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// As it was when the file was opened.
  const FileIdentity& identity() const { return identity_; }

  /// Takes the whole pages within `part` of bytes() out of this process's memory; the page cache keeps them,
  /// and touching them brings them back.
  void release(std::span<const std::byte> part) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  FileIdentity identity_;
};

}  // namespace dwgf
