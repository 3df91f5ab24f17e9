#include "job/unknowns/job_unknowns.hpp"

#include <algorithm>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "flow/unknowns/blur.hpp"
#include "flow/unknowns/noise_level.hpp"
#include "operators/baselines/noise_level.hpp"
#include "store/schema.hpp"

namespace dwgf {

Unknowns unknowns_of(const ProblemInput& asked, const ImageProblem& problem) {
  Unknowns unknowns;
  if (problem.open) unknowns.push_back(make_unknown_blur(*problem.open));
  if (asked.finds_sigma()) {
    if (asked.noise != "gaussian") {
      throw UsageError(
          "problem.sigma = unknown is the level of Gaussian noise, and problem.noise is '{}'; give a number, "
          "or set problem.noise = gaussian",
          asked.noise);
    }
    unknowns.push_back(make_unknown_noise_level(problem.sigma));
  }
  return unknowns;
}

double first_noise_level(const at::Tensor& y, const ForwardOperator& forward) {
  constexpr double share = 0.1, least = 1e-3;
  try {
    return std::max(least, estimate_noise_level(y, forward));
  } catch (const Error&) {  // y is no image, or a small one
    return std::max(least, share * y.to(at::kDouble).std(/*unbiased=*/false).item<double>());
  }
}

std::vector<DatasetLayout> estimated_datasets(const ProblemInput& asked, std::int64_t steps) {
  std::vector<DatasetLayout> datasets;
  ImageProblem any;
  if (has_open_blur(asked.forward)) any.open = std::make_shared<const OpenBlur>(open_stage(asked.forward));
  for (const auto& unknown : unknowns_of(asked, any)) {
    const std::string path = schema::kEstimated.named(unknown->name());
    const auto kept = static_cast<std::int64_t>(unknown->summary(unknown->start()).size());
    datasets.push_back({path, NumberType::float32, unknown->shape()});
    datasets.push_back({path + "_spread", NumberType::float32, unknown->shape()});
    datasets.push_back({path + "_trace", NumberType::float32, {steps, kept}});
  }
  return datasets;
}

}  // namespace dwgf
