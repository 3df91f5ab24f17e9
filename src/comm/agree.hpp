/// Errors that all ranks of a group share, so that none is left waiting for one that has failed.
#pragma once

#include <functional>

#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// Collective. Runs `step` on every rank. If it threw on any, every rank throws the error of the lowest such
/// rank: the same class, its text preceded by "rank k: " unless k is 0. Other exceptions than Error count as
/// InternalError.
/// @pre `step` itself does nothing collective that could hang when it fails on some ranks only.
void agree(Collective& group, const std::function<void()>& step);

/// Collective. As above, with a step that only rank 0 takes.
void agree_on_root(Collective& group, const std::function<void()>& step);

}  // namespace dwgf
