/// Half precisions run out of range: float16 beyond 65504, both when a network amplifies. A prior that
/// notices and has such a call computed again by float32 networks, so that an overflow costs time and never
/// an image.
#pragma once

#include <functional>
#include <memory>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// Makes the float32 counterparts of a prior's networks, each on its first use and at most once; empty where
/// the network is not of half precision, whose results then stay as they are. They take and return the
/// tensors that the prior does.
struct FloatNetworks {
  std::function<std::unique_ptr<Prior>()> denoiser;
  std::function<std::unique_ptr<Prior>()> codec;
};

/// `prior`, except that a call with a NaN or an infinity anywhere in its result is made again by the float32
/// counterpart, whose result stands whatever it is, and counted in `calls_redone`. A pull-back with one is
/// redone together with its forward pass.
std::unique_ptr<Prior> redo_in_float(std::unique_ptr<Prior> prior, FloatNetworks networks);

}  // namespace dwgf
