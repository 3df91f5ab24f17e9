/// What a job leaves open of its problems, and estimates with every image.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/flow/unknown.hpp>

#include "input/job_input.hpp"
#include "job/image_problem.hpp"
#include "store/row_layout.hpp"

namespace dwgf {

/// Of one image, beginning with what the problem says. Throws UsageError where the noise is not of a kind
/// whose level can be estimated.
Unknowns unknowns_of(const ProblemInput& asked, const ImageProblem& problem);

/// The sigma that an estimate from y [...] begins with: that of its fine differences, or where y is no image,
/// a tenth of its deviation.
double first_noise_level(const at::Tensor& y, const ForwardOperator& forward);

/// The datasets that the results have of them (schema::kEstimated). Throws as above.
std::vector<DatasetLayout> estimated_datasets(const ProblemInput& asked, std::int64_t steps);

}  // namespace dwgf
