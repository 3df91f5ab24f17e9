/// Kernels that do not sum to one, and masks that are not 0 or 1.
#pragma once

#include <vector>

#include "job/diagnosis.hpp"
#include "job/restore_job.hpp"

namespace dwgf {

/// Looks at the arrays of the operator: of one image, which stands for all, unless each has its own; then of
/// as many as there are in two seconds. Images that cannot be read are passed over.
std::vector<Finding> doubtful_arrays(const RestoreJob& job);

}  // namespace dwgf
