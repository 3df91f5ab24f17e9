#include <algorithm>
#include <exception>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/precondition.hpp"
#include "comm/detail/communicator_impl.hpp"
#include "comm/detail/pending.hpp"

namespace dwgf {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 30;  // of elements, in one call: MPI's counts are ints

std::unique_ptr<PendingCollective> start_all_reduce(std::span<std::int64_t> values, MPI_Op op, MPI_Comm comm,
                                                    const char* name) {
  auto pending = std::make_unique<MpiPending>(MpiCall{name, values.size_bytes(), comm});
  for (std::size_t first = 0; first < values.size(); first += kPiece) {
    const int count = static_cast<int>(std::min(kPiece, values.size() - first));
    MPI_Request request = MPI_REQUEST_NULL;
    const int code =
        MPI_Iallreduce(MPI_IN_PLACE, values.data() + first, count, MPI_INT64_T, op, comm, &request);
    pending->add(code, request);
  }
  return pending;
}

}  // namespace

Communicator::Impl::Impl(MPI_Comm comm, bool owned) : handle{comm}, owned(owned) {
  check_mpi(MPI_Comm_rank(comm, &rank), {"asking for the rank", 0, comm});
  check_mpi(MPI_Comm_size(comm, &size), {"asking for the size", 0, comm});
}

Communicator::Communicator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Communicator Communicator::world() {
  int running = 0;
  check_mpi(MPI_Initialized(&running), {"asking whether MPI runs"});
  precondition(running != 0, "MPI runs (an MpiSession is alive)");
  return Communicator(std::make_unique<Impl>(MPI_COMM_WORLD, false));
}
Communicator Communicator::self() {
  return Communicator(std::make_unique<Impl>(MPI_COMM_SELF, false));
}

Communicator Communicator::split(int colour, int key) const {
  const MPI_Comm from = impl_->handle.value;
  if (colour < 0) throw InternalError("a group's colour is not negative: {}", colour);
  MPI_Comm made = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(from, colour, key, &made), {"splitting a group", 0, from});
  check_mpi(MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN), {"setting the error handler", 0, made});
  return Communicator(std::make_unique<Impl>(made, true));
}

int Communicator::rank() const {
  return impl_->rank;
}
int Communicator::size() const {
  return impl_->size;
}
const MpiHandle& Communicator::handle() const {
  return impl_->handle;
}

std::unique_ptr<PendingCollective> Communicator::start_all_gather(std::span<const std::byte> bytes,
                                                                  std::span<std::byte> out) {
  const MPI_Comm comm = impl_->handle.value;
  if (out.size() != bytes.size() * static_cast<std::size_t>(impl_->size)) {
    throw InternalError("all-gather of {} bytes in a group of {} into {} bytes", bytes.size(), impl_->size,
                        out.size());
  }
  const bool in_place =
      !bytes.empty() && bytes.data() == out.data() + bytes.size() * static_cast<std::size_t>(impl_->rank);
  auto pending = std::make_unique<MpiPending>(MpiCall{"all-gather", bytes.size(), comm});
  MPI_Request request = MPI_REQUEST_NULL;
  int code = MPI_SUCCESS;
  if (bytes.size() <= kPiece) {
    const int count = static_cast<int>(bytes.size());
    code = MPI_Iallgather(in_place ? MPI_IN_PLACE : bytes.data(), count, MPI_BYTE, out.data(), count,
                          MPI_BYTE, comm, &request);
  } else {
    const ByteType type(bytes.size());
    code = MPI_Iallgather(in_place ? MPI_IN_PLACE : bytes.data(), 1, type.value(), out.data(), 1,
                          type.value(), comm, &request);
  }
  pending->add(code, request);
  return pending;
}

std::unique_ptr<PendingCollective> Communicator::start_all_reduce_sum(std::span<std::int64_t> values) {
  return start_all_reduce(values, MPI_SUM, impl_->handle.value, "all-reduce (sum)");
}

std::unique_ptr<PendingCollective> Communicator::start_all_reduce_max(std::span<std::int64_t> values) {
  return start_all_reduce(values, MPI_MAX, impl_->handle.value, "all-reduce (maximum)");
}

void Communicator::broadcast(std::span<std::byte> bytes, int root) {
  const MPI_Comm comm = impl_->handle.value;
  std::size_t first = 0;
  do {  // once even without bytes, so that every rank sees a bad root
    const int count = static_cast<int>(std::min(kPiece, bytes.size() - first));
    check_mpi(MPI_Bcast(bytes.data() + first, count, MPI_BYTE, root, comm),
              {"broadcast", bytes.size(), comm});
    first += kPiece;
  } while (first < bytes.size());
}

void Communicator::barrier() {
  check_mpi(MPI_Barrier(impl_->handle.value), {"barrier", 0, impl_->handle.value});
}

void Communicator::all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) {
  const MPI_Comm comm = impl_->handle.value;
  const auto ranks = static_cast<std::size_t>(impl_->size);
  if (out.size() != bytes.size() || bytes.size() % ranks != 0) {
    throw InternalError("all-to-all of {} bytes in a group of {} into {} bytes", bytes.size(), ranks,
                        out.size());
  }
  const ByteType block(bytes.size() / ranks);
  check_mpi(MPI_Alltoall(bytes.data(), 1, block.value(), out.data(), 1, block.value(), comm),
            {"all-to-all", bytes.size(), comm});
}

}  // namespace dwgf
