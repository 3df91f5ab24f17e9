#include <cstring>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/collective.hpp>

namespace dwgf {
namespace {

struct Done final : PendingCollective {
  void wait() override {}
  bool advance() override { return true; }
};

}  // namespace

std::string Collective::broadcast_text(std::string text, int root) {
  std::uint64_t length = text.size();
  broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
  text.resize(length);
  broadcast(std::as_writable_bytes(std::span(text)), root);
  return text;
}

std::unique_ptr<PendingCollective> SelfCollective::start_all_gather(std::span<const std::byte> bytes,
                                                                    std::span<std::byte> out) {
  if (out.size() != bytes.size()) {
    throw InternalError("all-gather of {} bytes in a group of 1 into {} bytes", bytes.size(), out.size());
  }
  // In place there is nothing to do, and the memory may be a device's, which the host must not touch.
  if (out.data() != bytes.data() && !bytes.empty()) std::memmove(out.data(), bytes.data(), bytes.size());
  return std::make_unique<Done>();
}

std::unique_ptr<PendingCollective> SelfCollective::start_all_reduce_sum(std::span<std::int64_t>) {
  return std::make_unique<Done>();
}

std::unique_ptr<PendingCollective> SelfCollective::start_all_reduce_max(std::span<std::int64_t>) {
  return std::make_unique<Done>();
}

void SelfCollective::all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) {
  if (out.size() != bytes.size()) {
    throw InternalError("all-to-all of {} bytes in a group of 1 into {} bytes", bytes.size(), out.size());
  }
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
}

}  // namespace dwgf
