/// The check that mirrors a header's `@pre`, where breaking it would otherwise go unnoticed.
#pragma once

#include <string>

#include <dwgf/base/error.hpp>

namespace dwgf {

/// Throws InternalError unless `holds`; `what` is the precondition in words.
inline void precondition(bool holds, const char* what) {
  if (!holds) throw InternalError(std::string("this program broke a precondition of its own: ") + what);
}

}  // namespace dwgf
