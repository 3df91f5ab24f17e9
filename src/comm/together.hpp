/// Errors that all ranks share, marked as such: told once by the first rank, after which the job ends in
/// order instead of being aborted.
#pragma once

#include <functional>
#include <string>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// Thrown on every rank of a group at the same place.
struct AgreedError : Error {
  using Error::Error;
};

/// Collective: `agree` (dwgf/comm/agree.hpp), with AgreedError as what is thrown.
void together(Collective& group, const std::function<void()>& work);

}  // namespace dwgf
