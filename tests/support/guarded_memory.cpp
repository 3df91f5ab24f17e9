#include "support/guarded_memory.hpp"

#include <algorithm>
#include <cstring>

#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <unistd.h>

namespace guarded {

Memory& Memory::instance() {
  static Memory* const all = new Memory;  // outlives every tensor
  return *all;
}

Memory::Memory() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))), limit_(std::size_t{64} << 30) {}

void* Memory::allocate(std::size_t bytes) {
  const std::size_t size = (bytes + page_ - 1) / page_ * page_;
  const std::lock_guard lock(mutex_);
  TORCH_CHECK(in_use_ + size <= limit_, "guarded device out of memory. Tried to allocate ", bytes, " bytes");
  void* const block = ::mmap(nullptr, size + page_, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK(block != MAP_FAILED, "guarded device out of memory. Tried to allocate ", bytes, " bytes");
  std::memset(block, 0xFF, bytes);
  TORCH_CHECK(::mprotect(block, size + page_, PROT_NONE) == 0, "guarded device: a block cannot be closed");
  blocks_[static_cast<std::byte*>(block)] = {size, 0};
  in_use_ += size;
  peak_ = std::max(peak_, in_use_);
  return block;
}

void Memory::free(void* block) {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(static_cast<std::byte*>(block));
  in_use_ -= found->second.size;
  ::munmap(block, found->second.size + page_);
  blocks_.erase(found);
}

bool Memory::open(const void* address) {
  return use(address, +1);
}
bool Memory::close(const void* address) {
  return use(address, -1);
}

bool Memory::use(const void* address, int more) {
  const std::lock_guard lock(mutex_);
  const auto* const wanted = static_cast<const std::byte*>(address);
  auto block = blocks_.upper_bound(wanted);
  if (block == blocks_.begin()) return false;
  --block;
  auto& [first, held] = *block;
  if (wanted >= first + held.size) return false;
  const bool was_open = held.users > 0;
  held.users += more;
  const bool is_open = held.users > 0;
  if (was_open != is_open) {
    const int access = is_open ? PROT_READ | PROT_WRITE : PROT_NONE;
    TORCH_CHECK(::mprotect(const_cast<std::byte*>(first), held.size, access) == 0,
                "guarded device: a block cannot be opened or closed");
  }
  return true;
}

std::size_t Memory::in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}
std::size_t Memory::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}
void Memory::restart_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_;
}
std::size_t Memory::limit() const {
  const std::lock_guard lock(mutex_);
  return limit_;
}
void Memory::set_limit(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

}  // namespace guarded
