/// A flow-matching prior as small as one can be, that shows what adding a family takes: its noise path is the
/// line a = 1 - s (rectified flow, arXiv 2209.03003), and its network, told the time 1000 s, predicts a
/// velocity v = eps - z_0, which becomes eps = z + (1 - s) v. Here the velocity is exact, that of a Gaussian:
///
///   z_0 ~ N(m, r I):   v(z, s) = (s - a r) / (a^2 r + s^2) (z - a m) - m,   a = 1 - s
#pragma once

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

/// Files NAME.gaussian of a text "channels height width m r"; images are the latents.
extern const PriorFamily kGaussianFlowMatching;

}  // namespace dwgf
