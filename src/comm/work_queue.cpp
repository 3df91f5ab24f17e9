#include "comm/work_queue.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "comm/detail/mpi_check.hpp"
#include "comm/mpi_handle.hpp"

namespace dwgf {
namespace {

constexpr int kAskTag = 7101, kAnswerTag = 7102;
// A request waits for half of this on average; looking costs next to nothing.
constexpr auto kPause = std::chrono::milliseconds(1);

}  // namespace

struct WorkQueue::Impl {
  Impl(const Communicator& world, std::int64_t items, int server, bool threaded)
      : group(world.split(0, world.rank())), comm(group.handle().value), items(items), server(server) {
    if (threaded && group.rank() == server && group.size() > 1) thread = std::thread([this] { serve(); });
  }

  ~Impl() {
    ending = true;
    if (thread.joinable()) thread.join();
  }

  MpiCall call(const char* what) const { return {what, sizeof(std::int64_t), comm}; }

  /// Answers one rank if one has asked.
  bool answer() {
    int asked = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    check_mpi(MPI_Improbe(MPI_ANY_SOURCE, kAskTag, comm, &asked, &message, &status),
              call("looking for who needs work"));
    if (!asked) return false;
    check_mpi(MPI_Mrecv(nullptr, 0, MPI_BYTE, &message, MPI_STATUS_IGNORE),
              call("looking for who needs work"));
    const std::int64_t item = next++;
    check_mpi(MPI_Send(&item, 1, MPI_INT64_T, status.MPI_SOURCE, kAnswerTag, comm), call("giving out work"));
    return true;
  }

  void serve() {
    try {
      while (!ending) {
        if (!answer()) std::this_thread::sleep_for(kPause);
      }
    } catch (const std::exception&) {
      failure = std::current_exception();
      failed = true;  // those who ask meanwhile are ended with rank 0
    }
  }

  Communicator group;
  MPI_Comm comm;
  std::int64_t items;
  int server;
  std::atomic<std::int64_t> next = 0;
  std::atomic<bool> ending = false, failed = false;
  std::exception_ptr failure;
  std::thread thread;
};

WorkQueue::WorkQueue(const Communicator& world, std::int64_t items)
    : impl_(std::make_unique<Impl>(world, items, 0, true)) {}
WorkQueue::WorkQueue(const Communicator& world, std::int64_t items, int server)
    : impl_(std::make_unique<Impl>(world, items, server, false)) {}

WorkQueue::~WorkQueue() {
  // The server answers until nobody asks any more; one that leaves by an error is alone.
  if (std::uncaught_exceptions() == 0) MPI_Barrier(impl_->comm);
}

std::optional<std::int64_t> WorkQueue::take() {
  std::int64_t item = 0;
  if (impl_->group.rank() == impl_->server) {
    if (impl_->failed) std::rethrow_exception(impl_->failure);
    item = impl_->next++;
  } else {
    check_mpi(MPI_Send(nullptr, 0, MPI_BYTE, impl_->server, kAskTag, impl_->comm),
              impl_->call("asking for work"));
    check_mpi(MPI_Recv(&item, 1, MPI_INT64_T, impl_->server, kAnswerTag, impl_->comm, MPI_STATUS_IGNORE),
              impl_->call("asking for work"));
  }
  if (item >= impl_->items) return std::nullopt;
  return item;
}

void WorkQueue::serve(int askers) {
  for (int told = 0; told < askers;) {
    MPI_Status status;
    check_mpi(MPI_Recv(nullptr, 0, MPI_BYTE, MPI_ANY_SOURCE, kAskTag, impl_->comm, &status),
              impl_->call("waiting for who needs work"));
    const std::int64_t item = impl_->next++;
    check_mpi(MPI_Send(&item, 1, MPI_INT64_T, status.MPI_SOURCE, kAnswerTag, impl_->comm),
              impl_->call("giving out work"));
    told += item >= impl_->items;
  }
}

std::optional<std::int64_t> take_collectively(WorkQueue& queue, Collective& group) {
  std::int64_t item = -1;
  if (group.rank() == 0) item = queue.take().value_or(-1);
  group.broadcast(std::as_writable_bytes(std::span(&item, 1)), 0);
  if (item < 0) return std::nullopt;
  return item;
}

}  // namespace dwgf
