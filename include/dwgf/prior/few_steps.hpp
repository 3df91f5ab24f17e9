/// Sampling in few steps, as a prior that was distilled to them is meant to be sampled. One rule serves the
/// samplers of the field, which differ in the levels that a step goes through:
///
///   z0 = taken (z - s eps_theta(z)) / a + kept z                            at the level `at` = (a, s)
///   z' = r (a_l z0 + s_l eps_theta(z)) + sqrt(1 - r^2) n,   r = a' / a_l    by `lands`, to `next`
///
/// with n ~ N(0, I), which is not drawn where r = 1. The last step's `next` is where the sampler leaves its
/// latent: clean, or nearly.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

struct FewStep {
  Level at;                        ///< where the denoiser is called
  Level lands = {};                ///< where its clean estimate and its noise are put together: (a_l, s_l)
  Level next = {};                 ///< where new noise brings that: a'
  double taken = 1.0, kept = 0.0;  ///< the boundary condition of a consistency model
};

/// What a distilled prior says of itself. The levels at which its denoiser may be called are those of its
/// noise path.
struct FewSteps {
  std::int64_t steps = 4;    ///< as many as it is meant for
  double first_noise = 1.0;  ///< of the latent that the first step is given: z = first_noise n
  /// The steps of a sampler of that many. Throws UsageError naming how many are allowed.
  std::function<std::vector<FewStep>(std::int64_t steps)> course = {};
};

}  // namespace dwgf
