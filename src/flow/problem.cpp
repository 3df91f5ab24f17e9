#include <ATen/ATen.h>

#include <dwgf/flow/problem.hpp>

#include "base/precondition.hpp"

namespace dwgf {

at::Tensor Problem::measurement() const {
  return y.to(prior.options).unsqueeze(0);
}

at::Tensor misfit_of(const at::Tensor& residual, const ForwardOperator& forward) {
  const double observed = static_cast<double>(forward.observed_count());
  return residual.flatten(1).to(at::kDouble).square().sum(1) * (0.5 / observed);
}

const NoiseModel& noise_of(const Problem& problem) {
  precondition(problem.noise != nullptr, "a problem with a noise model");
  return *problem.noise;
}

}  // namespace dwgf
