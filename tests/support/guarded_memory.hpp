/// Memory that nobody can touch unless it is opened: what stands for a GPU's in tests. Blocks of whole pages
/// without access (PROT_NONE), each followed by a page that is never opened, so that what reads or writes a
/// closed block, or beyond its end, dies by SIGSEGV where it does so.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

namespace guarded {

/// All blocks of this process. Any thread may call it; a block that one thread has opened is open to all.
class Memory {
 public:
  static Memory& instance();

  /// A closed block of at least `bytes`, filled with 0xFF: NaN, -1, true, so that what nobody has written is
  /// not taken for 0. Throws c10::Error saying "tried to allocate" where there is none, or where it would be
  /// more than the limit.
  void* allocate(std::size_t bytes);
  void free(void* block);

  /// One more, or one less, who needs the block that holds `address` open. False where it is in no block.
  bool open(const void* address);
  bool close(const void* address);

  std::size_t in_use() const;
  /// Since the start or the last `restart_peak`.
  std::size_t peak() const;
  void restart_peak();
  /// What all blocks together may take: the memory of the device. Large at first.
  std::size_t limit() const;
  void set_limit(std::size_t bytes);

 private:
  struct Block {
    std::size_t size;
    int users;
  };

  Memory();
  bool use(const void* address, int more);

  const std::size_t page_;
  mutable std::mutex mutex_;
  std::map<const std::byte*, Block> blocks_;
  std::size_t in_use_ = 0, peak_ = 0, limit_;
};

}  // namespace guarded
