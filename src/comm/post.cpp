// Small messages that nobody waits for.
#include <exception>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "comm/detail/communicator_impl.hpp"

namespace dwgf {
namespace {

constexpr int kPostTag = 7001;

// The next posted message, if one has arrived.
bool take(MPI_Comm comm, std::vector<std::int64_t>& message) {
  const MpiCall call{"taking a posted message", 0, comm};
  int arrived = 0;
  MPI_Message handle = MPI_MESSAGE_NULL;
  MPI_Status status;
  check_mpi(MPI_Improbe(MPI_ANY_SOURCE, kPostTag, comm, &arrived, &handle, &status), call);
  if (!arrived) return false;
  int count = 0;
  check_mpi(MPI_Get_count(&status, MPI_INT64_T, &count), call);
  message.resize(static_cast<std::size_t>(count));
  check_mpi(MPI_Mrecv(message.data(), count, MPI_INT64_T, &handle, MPI_STATUS_IGNORE), call);
  return true;
}

}  // namespace

Communicator::Impl::~Impl() {
  if (owned) {  // what was never polled would be left inside MPI
    try {
      for (std::vector<std::int64_t> message; take(handle.value, message);) {
      }
    } catch (const std::exception&) {  // freed below all the same
    }
  }
  for (Post& post : posts) {
    int sent = 0;
    MPI_Test(&post.request, &sent, MPI_STATUS_IGNORE);
    if (sent) continue;
    // Its receiver may never ask for it. MPI may still read the buffer later, so that is left to the
    // process's end.
    MPI_Cancel(&post.request);
    MPI_Request_free(&post.request);
    static_cast<void>(post.message.release());
  }
  // Freeing is collective, and a rank that is leaving by an error is alone: it ends the job next.
  if (owned && std::uncaught_exceptions() == 0) MPI_Comm_free(&handle.value);
}

void Communicator::Impl::drop_sent_posts() {
  std::erase_if(posts, [this](Post& post) {
    int sent = 0;
    check_mpi(MPI_Test(&post.request, &sent, MPI_STATUS_IGNORE), {"posting", 0, handle.value});
    return sent != 0;
  });
}

void Communicator::post(int destination, std::span<const std::int64_t> message) {
  const MPI_Comm comm = impl_->handle.value;
  impl_->drop_sent_posts();
  Impl::Post post;
  post.message = std::make_unique<std::vector<std::int64_t>>(message.begin(), message.end());
  impl_->posts.reserve(impl_->posts.size() + 1);
  check_mpi(MPI_Isend(post.message->data(), static_cast<int>(message.size()), MPI_INT64_T, destination,
                      kPostTag, comm, &post.request),
            {"posting", message.size_bytes(), comm});
  impl_->posts.push_back(std::move(post));
}

std::vector<std::int64_t> Communicator::poll(std::size_t room) {
  impl_->drop_sent_posts();
  std::vector<std::int64_t> message;
  take(impl_->handle.value, message);
  if (message.size() > room) {
    throw InternalError("a posted message of {} numbers came where at most {} were expected", message.size(),
                        room);
  }
  return message;
}

}  // namespace dwgf
