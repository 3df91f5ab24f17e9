/// The frame around loading a prior. Private to the prior layer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// Runs `load` outside inference mode (weights made in it could not take part in a backward pass), and turns
/// what LibTorch or the system throw into InternalErrors that name `path`. The program's own errors pass.
std::unique_ptr<Prior> guarded_load(const std::string& path,
                                    const std::function<std::unique_ptr<Prior>()>& load);

/// `prior`, if its weights are those with this hash. Throws DataError naming `path` where they are others by
/// now.
std::unique_ptr<Prior> require_same_weights(std::unique_ptr<Prior> prior, const std::string& sha256,
                                            const std::string& path);

}  // namespace dwgf
