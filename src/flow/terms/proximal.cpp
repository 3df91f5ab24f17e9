#include "flow/terms/proximal.hpp"

#include <ATen/ATen.h>

#include "flow/terms/conjugate_gradients.hpp"

namespace dwgf {

namespace {

constexpr std::int64_t kIterations = 40;
constexpr std::int64_t kGaussNewtonSteps = 4;
constexpr double kTiny = 1e-30;

}  // namespace

at::Tensor proximal_step(const Problem& problem, const at::Tensor& x, const at::Tensor& variance) {
  const NoiseModel& noise = noise_of(problem);
  const std::int64_t steps = problem.forward.is_linear() ? 1 : kGaussNewtonSteps;
  at::Tensor moved = x, change;
  for (std::int64_t step = 0; step < steps; ++step) {
    const at::Tensor measured = problem.forward.apply(moved);    // a [B, ...]
    const at::Tensor information = noise.information(measured);  // [B, ...]
    const at::Tensor observed = information.gt(0);
    const at::Tensor noise_variance = at::where(observed, information.clamp_min(kTiny).reciprocal(), 1.0);
    at::Tensor residual =
        at::where(observed, noise.log_likelihood_gradient(measured, problem.y) * noise_variance, 0.0);
    if (step > 0) residual = residual + problem.forward.push_forward(moved, change);
    const at::Tensor weights = noise_variance / per_sample(variance, measured);  // R / rho^2
    const at::Tensor u = solve_by_conjugate_gradients(
        [&](const at::Tensor& direction) {
          return problem.forward.push_forward(moved, problem.forward.pull_back(moved, direction));
        },
        residual, weights, kIterations);
    change = problem.forward.pull_back(moved, u);
    moved = x + change;
  }
  return moved;
}

}  // namespace dwgf
