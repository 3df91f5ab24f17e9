/// The steps of flow matching by Euler's rule, z' = z + (s' - s) v from s = 1 down to 0: diffusers'
/// FlowMatchEulerDiscreteScheduler, in the form of dwgf/prior/few_steps.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/prior/few_steps.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

namespace dwgf {

/// A step at a level to which the path leaves more signal than the scheduler does lands as much lower: each
/// goes as far along v as the scheduler's. Throws UsageError as FlowMatchingPath::sigmas.
std::vector<FewStep> flow_matching_course(const FlowMatchingPath& path, std::int64_t steps);

}  // namespace dwgf
