#include "comm/nccl.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "comm/devices/detail/cuda_stream.hpp"
#include "comm/throw_on_all.hpp"

namespace dwgf {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollPause = std::chrono::microseconds(50);

/// Operations of which it is remembered whether they are done: enough to name the eldest that is not.
constexpr std::size_t kRemembered = 16;

/// An operation from the compute stream to its end.
struct Operation {
  std::string what;
  CudaEvent ready, done;
};

}  // namespace

struct NcclCollective::Impl {
  Impl(Communicator& group, int device, ComputeStream compute, double patience)
      : rank(group.rank()), size(group.size()), compute_stream(std::move(compute)), patience(patience) {
    ncclUniqueId id{};
    throw_on_all(group, [&] {
      check_cuda(cudaSetDevice(device), formatted("choosing GPU {}", device));
      if (rank == 0) check(ncclGetUniqueId(&id), "making NCCL's id");
    });
    group.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0);
    try {
      throw_on_all(group, [&] {
        stream = make_urgent_stream("making NCCL's stream");
        check_cuda(cudaMalloc(&scratch, sizeof(std::int64_t)), "taking device memory");
        ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
        config.blocking = 0;
        check(ncclCommInitRankConfig(&comm, size, id, rank, &config), "connecting by NCCL");
        settle("connecting by NCCL");
      });
    } catch (...) {  // on every rank, also where it went well
      abort();
      free_device();
      throw;
    }
  }

  ~Impl() {
    if (std::uncaught_exceptions() > 0) abort();
    try {
      if (!aborted) {
        check(ncclCommFinalize(comm), "ending NCCL");
        settle("ending NCCL");
      }
    } catch (const std::exception&) {  // it is aborted then
    }
    if (!aborted) ncclCommDestroy(comm);
    free_device();
  }

  void free_device() {
    if (scratch) cudaFree(scratch);
    if (stream) cudaStreamDestroy(stream);
    scratch = nullptr;
    stream = nullptr;
  }

  void abort(const std::string& why = "") {
    const std::lock_guard lock(comm_mutex);
    if (aborted.exchange(true)) return;
    reason = why;
    if (comm) ncclCommAbort(comm);
  }

  std::string failure(ncclResult_t code, const std::string& what) {
    const char* detail = comm && !aborted ? ncclGetLastError(comm) : "";
    return formatted(
        "{} in a group of {}{} failed on rank {} ({}): NCCL says \"{}{}{}\". Another rank may have failed "
        "first: look for the earliest message; NCCL_DEBUG=INFO tells more",
        what, size, size == 1 ? " rank" : " ranks", rank, host_name(), ncclGetErrorString(code),
        detail && *detail ? ": " : "", detail ? detail : "");
  }

  [[noreturn]] void fail(ncclResult_t code, const std::string& what) {
    const std::string text = failure(code, what);
    abort(text);
    throw RankError(text);
  }

  /// In progress is no error: `settle` sees to the end of it.
  void check(ncclResult_t code, const std::string& what) {
    if (code != ncclSuccess && code != ncclInProgress) fail(code, what);
  }

  /// What NCCL says of the communicator; nothing where it was given up. From any thread.
  std::optional<ncclResult_t> asked() {
    const std::lock_guard lock(comm_mutex);
    if (aborted) return std::nullopt;
    ncclResult_t result = ncclSuccess;
    const ncclResult_t code = ncclCommGetAsyncError(comm, &result);
    return code == ncclSuccess ? result : code;
  }

  /// What went wrong since the last look, on any rank.
  ncclResult_t state(const std::string& what) {
    const std::optional<ncclResult_t> result = asked();
    if (!result) {
      throw RankError("{}: this group's NCCL communicator was given up{}{}", what, reason.empty() ? "" : ": ",
                      reason);
    }
    check(*result, what);
    return *result;
  }

  /// The eldest operation that this rank's device has reached and not ended. An error gives up the
  /// communicator, so that a device that waits for a rank which is gone goes on, and its host with it.
  std::optional<std::string> under_way() {
    const std::optional<ncclResult_t> result = asked();
    if (!result) return std::nullopt;
    if (*result != ncclSuccess && *result != ncclInProgress) {
      abort(failure(*result, "waiting for the other ranks"));
      return std::nullopt;
    }
    const std::lock_guard lock(operations_mutex);
    while (!operations.empty() && operations.front()->done.passed()) operations.pop_front();
    if (operations.empty() || !operations.front()->ready.passed()) return std::nullopt;
    return operations.front()->what;
  }

  void remember(std::shared_ptr<Operation> operation) {
    const std::lock_guard lock(operations_mutex);
    operations.push_back(std::move(operation));
    if (operations.size() > kRemembered) operations.pop_front();
  }

  /// Until the last call has been taken in; the operation itself may still be under way on the device.
  void settle(const std::string& what) {
    const auto end = Clock::now() + std::chrono::duration<double>(patience);
    while (state(what) == ncclInProgress) {
      if (Clock::now() > end) {
        abort();
        throw RankError(
            "{} in a group of {} ranks took longer than {} s on rank {} ({}); is there a network between the "
            "nodes that NCCL can use (NCCL_SOCKET_IFNAME, NCCL_DEBUG=INFO)?",
            what, size, patience, rank, host_name());
      }
      std::this_thread::sleep_for(kPollPause);
    }
  }

  cudaStream_t compute() const { return static_cast<cudaStream_t>(compute_stream()); }

  int rank, size;
  ComputeStream compute_stream;
  double patience;
  cudaStream_t stream = nullptr;
  void* scratch = nullptr;  // a barrier's number
  ncclComm_t comm = nullptr;
  std::atomic<bool> aborted = false;
  std::string reason;     // of giving up; written once, before `aborted` is seen
  std::mutex comm_mutex;  // held while NCCL is asked, and while the communicator ends
  std::mutex operations_mutex;
  std::deque<std::shared_ptr<Operation>> operations;  // the last ones, the eldest first
};

namespace {

/// An operation on NCCL's stream. It shares what it works with, so it may outlive the collective's object.
template <class Impl>
class NcclPending final : public PendingCollective {
 public:
  NcclPending(std::shared_ptr<Impl> impl, const std::string& what)
      : impl_(std::move(impl)), operation_(std::make_shared<Operation>()) {
    operation_->what = what;
  }
  ~NcclPending() override {
    if (waited_ || impl_->aborted) return;
    try {
      operation_->done.hold_back(impl_->compute());  // the buffers may be freed, in stream order, right after
    } catch (const std::exception&) {                // the next operation tells
    }
  }

  void begin() {
    operation_->ready.record(impl_->compute());
    operation_->ready.hold_back(impl_->stream);
  }
  void queued() {
    impl_->settle(operation_->what);
    operation_->done.record(impl_->stream);
    impl_->remember(operation_);
  }

  void wait() override {
    impl_->state(operation_->what);
    if (waited_) return;
    operation_->done.hold_back(impl_->compute());
    waited_ = true;
  }
  bool advance() override {
    impl_->state(operation_->what);
    return operation_->done.passed();
  }

 private:
  std::shared_ptr<Impl> impl_;
  std::shared_ptr<Operation> operation_;
  bool waited_ = false;
};

template <class Impl, class Call>
std::unique_ptr<PendingCollective> launch(const std::shared_ptr<Impl>& impl, std::string what,
                                          const Call& call) {
  impl->state(what);
  auto pending = std::make_unique<NcclPending<Impl>>(impl, what);
  pending->begin();
  impl->check(call(), what);
  pending->queued();
  return pending;
}

void wait_on_host(PendingCollective& pending) {
  while (!pending.advance()) std::this_thread::sleep_for(kPollPause);
  pending.wait();
}

}  // namespace

NcclCollective::NcclCollective(Communicator& group, int device, ComputeStream compute_stream,
                               double patience_seconds)
    : impl_(std::make_shared<Impl>(group, device, std::move(compute_stream), patience_seconds)) {}
NcclCollective::~NcclCollective() = default;

int NcclCollective::rank() const {
  return impl_->rank;
}
int NcclCollective::size() const {
  return impl_->size;
}
void NcclCollective::abort() {
  impl_->abort();
}
std::optional<std::string> NcclCollective::under_way() {
  return impl_->under_way();
}

std::unique_ptr<PendingCollective> NcclCollective::start_all_gather(std::span<const std::byte> bytes,
                                                                    std::span<std::byte> out) {
  const std::string what = formatted("all-gather of {} bytes", bytes.size());
  if (out.size() != bytes.size() * static_cast<std::size_t>(size()))
    throw InternalError("{} in a group of {} into {} bytes", what, size(), out.size());
  require_device_memory(bytes.data(), bytes.size(), what);
  require_device_memory(out.data(), out.size(), what);
  return launch(impl_, what, [&] {
    return ncclAllGather(bytes.data(), out.data(), bytes.size(), ncclInt8, impl_->comm, impl_->stream);
  });
}

std::unique_ptr<PendingCollective> NcclCollective::start_all_reduce_sum(std::span<std::int64_t> values) {
  const std::string what = formatted("sum of {} numbers", values.size());
  require_device_memory(values.data(), values.size_bytes(), what);
  return launch(impl_, what, [&] {
    return ncclAllReduce(values.data(), values.data(), values.size(), ncclInt64, ncclSum, impl_->comm,
                         impl_->stream);
  });
}

std::unique_ptr<PendingCollective> NcclCollective::start_all_reduce_max(std::span<std::int64_t> values) {
  const std::string what = formatted("maximum of {} numbers", values.size());
  require_device_memory(values.data(), values.size_bytes(), what);
  return launch(impl_, what, [&] {
    return ncclAllReduce(values.data(), values.data(), values.size(), ncclInt64, ncclMax, impl_->comm,
                         impl_->stream);
  });
}

void NcclCollective::all_to_all(std::span<const std::byte> bytes, std::span<std::byte>) {
  throw InternalError("all-to-all of {} bytes on the device: host data goes by MPI, and no other asks",
                      bytes.size());
}

void NcclCollective::broadcast(std::span<std::byte> bytes, int root) {
  const std::string what = formatted("broadcast of {} bytes", bytes.size());
  require_device_memory(bytes.data(), bytes.size(), what);
  const auto pending = launch(impl_, what, [&] {
    return ncclBroadcast(bytes.data(), bytes.data(), bytes.size(), ncclInt8, root, impl_->comm,
                         impl_->stream);
  });
  wait_on_host(*pending);
}

void NcclCollective::barrier() {
  const auto pending = launch(impl_, "barrier", [&] {
    return ncclAllReduce(impl_->scratch, impl_->scratch, 1, ncclInt64, ncclMax, impl_->comm, impl_->stream);
  });
  wait_on_host(*pending);
}

}  // namespace dwgf
