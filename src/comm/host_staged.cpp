#include "comm/host_staged.hpp"

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr std::size_t kFew = 4;

struct Nothing final : PendingCollective {
  void wait() override {}
  bool advance() override { return true; }
};

/// What MPI is to do with the host's copy.
using Exchange = std::function<std::unique_ptr<PendingCollective>(Communicator&, std::span<std::byte>)>;

/// One operation: on its way to the host, then MPI's.
struct Operation {
  std::unique_ptr<StagingBuffer> buffer;
  Exchange exchange;
  std::unique_ptr<PendingCollective> under_way;  // empty until MPI knows of it
};

}  // namespace

struct HostStagedCollective::Impl {
  Impl(const Communicator& over, const DeviceBackend& backend, int device, ComputeStream compute)
      : group(over.split(0, over.rank())), backend(backend), device(device), compute(std::move(compute)) {}

  /// A buffer of exactly so many bytes that no copy uses any more: another one while there are few, rather
  /// than waiting for the device.
  std::unique_ptr<StagingBuffer> take(std::size_t bytes) {
    auto& idle = buffers[bytes];
    const bool free = !idle.empty() && idle.front()->done();
    if (!free && idle.size() < kFew) return backend.staging(device, bytes, compute);
    std::unique_ptr<StagingBuffer> buffer = std::move(idle.front());
    idle.pop_front();
    buffer->wait();
    return buffer;
  }
  void give_back(std::unique_ptr<StagingBuffer> buffer) {
    auto& idle = buffers[buffer->host().size()];
    idle.push_back(std::move(buffer));
  }

  /// Tells MPI of the eldest operation. @pre its copy is done
  void hand_over() {
    Operation& eldest = *queue.front();
    eldest.under_way = eldest.exchange(group, eldest.buffer->host());
    queue.pop_front();
  }
  /// Tells MPI of everything up to this operation.
  void hand_over_until(const Operation& last) {
    while (!last.under_way) {
      queue.front()->buffer->wait();
      hand_over();
    }
  }
  void hand_over_all() {
    while (!queue.empty()) {
      queue.front()->buffer->wait();
      hand_over();
    }
  }
  void hand_over_what_is_there() {
    while (!queue.empty() && queue.front()->buffer->done()) hand_over();
  }

  Communicator group;
  const DeviceBackend& backend;
  int device;
  ComputeStream compute;
  std::deque<std::shared_ptr<Operation>> queue;  // those that MPI does not know of yet
  std::map<std::size_t, std::deque<std::unique_ptr<StagingBuffer>>> buffers;  // idle, by size, eldest first
};

namespace {

template <class Impl>
class StagedPending final : public PendingCollective {
 public:
  StagedPending(std::shared_ptr<Impl> impl, std::shared_ptr<Operation> operation, std::span<std::byte> out)
      : impl_(std::move(impl)), operation_(std::move(operation)), out_(out) {}
  /// An operation under way is seen to its end: the other ranks are in it.
  ~StagedPending() override {
    if (!operation_) return;
    try {
      wait();
    } catch (const std::exception&) {  // the next operation tells
    }
  }

  void wait() override {
    if (!operation_) return;
    const std::shared_ptr<Operation> mine = std::exchange(operation_, nullptr);
    impl_->hand_over_until(*mine);
    mine->under_way->wait();
    mine->buffer->deliver(out_);
    impl_->give_back(std::move(mine->buffer));
  }
  bool advance() override {
    if (!operation_) return true;
    impl_->hand_over_what_is_there();
    return operation_->under_way && operation_->under_way->advance();
  }

 private:
  std::shared_ptr<Impl> impl_;
  std::shared_ptr<Operation> operation_;
  std::span<std::byte> out_;
};

/// `own` goes to the place `first` of the host's copy of `out`, and all of that comes back.
template <class Impl>
std::unique_ptr<PendingCollective> start(const std::shared_ptr<Impl>& impl, std::span<const std::byte> own,
                                         std::size_t first, std::span<std::byte> out, Exchange exchange) {
  auto operation = std::make_shared<Operation>();
  operation->buffer = impl->take(out.size());
  operation->exchange = std::move(exchange);
  operation->buffer->fetch(own, first);
  impl->queue.push_back(operation);
  return std::make_unique<StagedPending<Impl>>(impl, std::move(operation), out);
}

std::span<std::int64_t> numbers_in(std::span<std::byte> host) {
  return {reinterpret_cast<std::int64_t*>(host.data()), host.size() / sizeof(std::int64_t)};
}

}  // namespace

HostStagedCollective::HostStagedCollective(const Communicator& group, const DeviceBackend& backend,
                                           int device, ComputeStream compute_stream)
    : impl_(std::make_shared<Impl>(group, backend, device, std::move(compute_stream))) {}
HostStagedCollective::~HostStagedCollective() = default;

int HostStagedCollective::rank() const {
  return impl_->group.rank();
}
int HostStagedCollective::size() const {
  return impl_->group.size();
}

std::unique_ptr<PendingCollective> HostStagedCollective::start_all_gather(std::span<const std::byte> bytes,
                                                                          std::span<std::byte> out) {
  if (out.size() != bytes.size() * static_cast<std::size_t>(size())) {
    throw InternalError("all-gather of {} bytes in a group of {} into {} bytes", bytes.size(), size(),
                        out.size());
  }
  if (bytes.empty() || (size() == 1 && bytes.data() == out.data())) return std::make_unique<Nothing>();
  const std::size_t first = bytes.size() * static_cast<std::size_t>(rank());
  return start(impl_, bytes, first, out,
               [first, count = bytes.size()](Communicator& group, std::span<std::byte> host) {
                 return group.start_all_gather(host.subspan(first, count), host);
               });
}

std::unique_ptr<PendingCollective> HostStagedCollective::start_all_reduce_sum(
    std::span<std::int64_t> values) {
  if (values.empty() || size() == 1) return std::make_unique<Nothing>();
  const auto bytes = std::as_writable_bytes(values);
  return start(impl_, bytes, 0, bytes, [](Communicator& group, std::span<std::byte> host) {
    return group.start_all_reduce_sum(numbers_in(host));
  });
}

std::unique_ptr<PendingCollective> HostStagedCollective::start_all_reduce_max(
    std::span<std::int64_t> values) {
  if (values.empty() || size() == 1) return std::make_unique<Nothing>();
  const auto bytes = std::as_writable_bytes(values);
  return start(impl_, bytes, 0, bytes, [](Communicator& group, std::span<std::byte> host) {
    return group.start_all_reduce_max(numbers_in(host));
  });
}

void HostStagedCollective::all_to_all(std::span<const std::byte> bytes, std::span<std::byte>) {
  throw InternalError("all-to-all of {} bytes on the device: host data goes by MPI, and no other asks",
                      bytes.size());
}

void HostStagedCollective::broadcast(std::span<std::byte> bytes, int root) {
  if (bytes.empty() || size() == 1) return;
  // Behind all that was started before, as MPI has it.
  impl_->hand_over_all();
  std::unique_ptr<StagingBuffer> buffer = impl_->take(bytes.size());
  if (rank() == root) {
    buffer->fetch(bytes, 0);
    buffer->wait();
  }
  impl_->group.broadcast(buffer->host(), root);
  buffer->deliver(bytes);
  buffer->wait();
  impl_->give_back(std::move(buffer));
}

void HostStagedCollective::barrier() {
  impl_->hand_over_all();
  impl_->group.barrier();
}

}  // namespace dwgf
