#include "comm/nccl.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "comm/devices/detail/cuda_check.hpp"
#include "comm/throw_on_all.hpp"

namespace dwgf {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollPause = std::chrono::microseconds(50);

/// An event that only orders streams.
class Event {
 public:
  Event() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) { check_cuda(cudaEventRecord(event_, stream), "recording an event"); }
  void hold_back(cudaStream_t stream) const {
    check_cuda(cudaStreamWaitEvent(stream, event_, 0), "ordering two streams");
  }
  bool passed() const {
    const cudaError_t code = cudaEventQuery(event_);
    if (code == cudaErrorNotReady) return false;
    check_cuda(code, "a collective on the device");
    return true;
  }

 private:
  cudaEvent_t event_ = nullptr;
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
        check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making NCCL's stream");
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

  void abort() {
    const std::lock_guard lock(abort_mutex);
    if (aborted.exchange(true)) return;
    if (comm) ncclCommAbort(comm);
  }

  [[noreturn]] void fail(ncclResult_t code, const std::string& what) {
    const char* detail = comm && !aborted ? ncclGetLastError(comm) : "";
    const std::string text = formatted(
        "{} in a group of {}{} failed on rank {} ({}): NCCL says \"{}{}{}\". Another rank may have failed "
        "first: look for the earliest message; NCCL_DEBUG=INFO tells more",
        what, size, size == 1 ? " rank" : " ranks", rank, host_name(), ncclGetErrorString(code),
        detail && *detail ? ": " : "", detail ? detail : "");
    abort();
    throw RankError(text);
  }

  /// In progress is no error: `settle` sees to the end of it.
  void check(ncclResult_t code, const std::string& what) {
    if (code != ncclSuccess && code != ncclInProgress) fail(code, what);
  }

  /// What went wrong since the last look, on any rank.
  ncclResult_t state(const std::string& what) {
    if (aborted) throw RankError("{}: this group's NCCL communicator was given up", what);
    ncclResult_t result = ncclSuccess;
    const ncclResult_t code = ncclCommGetAsyncError(comm, &result);
    if (code != ncclSuccess) fail(code, what);
    check(result, what);
    return result;
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

  static void require_device_memory(const void* pointer, std::size_t bytes, const std::string& what) {
    if (bytes == 0) return;
    cudaPointerAttributes attributes{};
    check_cuda(cudaPointerGetAttributes(&attributes, pointer), what);
    if (attributes.type == cudaMemoryTypeDevice) return;
    throw InternalError("{}: its buffer is not device memory; host data goes by MPI", what);
  }

  int rank, size;
  ComputeStream compute_stream;
  double patience;
  cudaStream_t stream = nullptr;
  void* scratch = nullptr;  // a barrier's number
  ncclComm_t comm = nullptr;
  std::atomic<bool> aborted = false;
  std::mutex abort_mutex;
};

namespace {

/// An operation on NCCL's stream. It shares what it works with, so it may outlive the collective's object.
template <class Impl>
class NcclPending final : public PendingCollective {
 public:
  NcclPending(std::shared_ptr<Impl> impl, std::string what)
      : impl_(std::move(impl)), what_(std::move(what)) {}
  ~NcclPending() override {
    if (waited_ || impl_->aborted) return;
    try {
      done_.hold_back(impl_->compute());  // the buffers may be freed, in stream order, right after this
    } catch (const std::exception&) {     // the next operation tells
    }
  }

  void begin() {
    ready_.record(impl_->compute());
    ready_.hold_back(impl_->stream);
  }
  void queued() {
    impl_->settle(what_);
    done_.record(impl_->stream);
  }

  void wait() override {
    impl_->state(what_);
    if (waited_) return;
    done_.hold_back(impl_->compute());
    waited_ = true;
  }
  bool advance() override {
    impl_->state(what_);
    return done_.passed();
  }

 private:
  std::shared_ptr<Impl> impl_;
  std::string what_;
  Event ready_, done_;
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

std::unique_ptr<PendingCollective> NcclCollective::start_all_gather(std::span<const std::byte> bytes,
                                                                    std::span<std::byte> out) {
  const std::string what = formatted("all-gather of {} bytes", bytes.size());
  if (out.size() != bytes.size() * static_cast<std::size_t>(size()))
    throw InternalError("{} in a group of {} into {} bytes", what, size(), out.size());
  Impl::require_device_memory(bytes.data(), bytes.size(), what);
  Impl::require_device_memory(out.data(), out.size(), what);
  return launch(impl_, what, [&] {
    return ncclAllGather(bytes.data(), out.data(), bytes.size(), ncclInt8, impl_->comm, impl_->stream);
  });
}

std::unique_ptr<PendingCollective> NcclCollective::start_all_reduce_sum(std::span<std::int64_t> values) {
  const std::string what = formatted("sum of {} numbers", values.size());
  Impl::require_device_memory(values.data(), values.size_bytes(), what);
  return launch(impl_, what, [&] {
    return ncclAllReduce(values.data(), values.data(), values.size(), ncclInt64, ncclSum, impl_->comm,
                         impl_->stream);
  });
}

std::unique_ptr<PendingCollective> NcclCollective::start_all_reduce_max(std::span<std::int64_t> values) {
  const std::string what = formatted("maximum of {} numbers", values.size());
  Impl::require_device_memory(values.data(), values.size_bytes(), what);
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
  Impl::require_device_memory(bytes.data(), bytes.size(), what);
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
