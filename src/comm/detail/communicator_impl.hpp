/// What a Communicator owns.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <dwgf/comm/mpi.hpp>

#include "comm/detail/mpi_check.hpp"
#include "comm/mpi_handle.hpp"

namespace dwgf {

struct Communicator::Impl {
  Impl(MPI_Comm comm, bool owned);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// A posted message under way; MPI reads the buffer until it is complete.
  struct Post {
    MPI_Request request = MPI_REQUEST_NULL;
    std::unique_ptr<std::vector<std::int64_t>> message;
  };

  void drop_sent_posts();

  MpiHandle handle;
  bool owned = false;
  int rank = 0;
  int size = 1;
  std::vector<Post> posts;
};

}  // namespace dwgf
