/// Errors that all ranks of a group share, so that none is left waiting for one that has failed.
#pragma once

#include <functional>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// Thrown on every rank of a group at the same place: told once by the first rank, after which the job ends
/// in order instead of being aborted.
struct CollectiveError : Error {
  using Error::Error;
};

/// Collective. Runs `step` on every rank. If it threw on any, every rank throws the error of the lowest such
/// rank: the same class, its text preceded by "rank k: " unless k is 0. Other exceptions than Error count as
/// InternalError.
/// @pre `step` itself does nothing collective that could hang when it fails on some ranks only (not checked)
void throw_on_all(Collective& group, const std::function<void()>& step);

/// Collective. As above, with `Thrown` as the class that every rank throws: CollectiveError.
template <class Thrown>
void throw_on_all(Collective& group, const std::function<void()>& step) {
  try {
    throw_on_all(group, step);
  } catch (const Error& error) {
    throw Thrown(error.code(), error.what());
  }
}

/// Collective. Runs `step` on rank 0 alone; what it throws there, every rank throws.
void run_on_root(Collective& group, const std::function<void()>& step);

}  // namespace dwgf
