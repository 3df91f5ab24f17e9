/// A started MPI collective.
#pragma once

#include <utility>
#include <vector>

#include <mpi.h>

#include <dwgf/comm/collective.hpp>

#include "comm/detail/mpi_check.hpp"

namespace dwgf {

class MpiPending final : public PendingCollective {
 public:
  explicit MpiPending(MpiCall call) : call_(call) {}
  MpiPending(const MpiPending&) = delete;
  MpiPending& operator=(const MpiPending&) = delete;

  // The buffers belong to the caller and may go as soon as this is gone, so an operation under way is seen to
  // its end.
  ~MpiPending() override {
    if (!requests_.empty())
      MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
  }

  /// The next request slot; filled by the MPI call that starts (a part of) the operation.
  void add(int code, MPI_Request request) {
    if (code == MPI_SUCCESS) requests_.push_back(request);
    check_mpi(code, call_);
  }

  void wait() override {
    auto requests = std::exchange(requests_, {});
    if (requests.empty()) return;
    check_mpi(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE), call_);
  }

  bool advance() override {
    if (requests_.empty()) return true;
    int done = 0;
    check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
              call_);
    if (done) requests_.clear();
    return done != 0;
  }

 private:
  MpiCall call_;
  std::vector<MPI_Request> requests_;
};

}  // namespace dwgf
