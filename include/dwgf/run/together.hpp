/// Errors that all ranks share. Work done on every rank may fail on some; afterwards all ranks throw the same error, the one of the
/// lowest failing rank, so that it is told once and the job ends in order.
#pragma once

#include <functional>
#include <string>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

namespace dwgf {

/// Thrown on every rank of a group at the same place.
struct AgreedError : Error {
  using Error::Error;
};

/// Collective: does `work` on every rank of `group`; throws AgreedError on all of them if it threw on any.
void together(Communicator& group, const std::function<void()>& work);

}  // namespace dwgf
