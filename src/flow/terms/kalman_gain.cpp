#include "flow/terms/kalman_gain.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "flow/canvas.hpp"
#include "flow/terms/conjugate_gradients.hpp"

namespace dwgf {

namespace {

constexpr std::int64_t kMostMatrixEntries = 2048;    // of cells, beside a side of J
constexpr std::int64_t kMostFactoredEntries = 2048;  // of y
constexpr std::int64_t kRowsAtOnce = 256;
constexpr double kRounding = 1e-6;  // of J's float32, beside its mean variance

std::int64_t measured_entries(const Problem& problem) {
  const std::vector<std::int64_t> shape = problem.forward.measurement_shape();
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// The image of cells that A sees, [B, C, H, W].
at::Tensor seen(const at::Tensor& cells, const Cells& layout, const Problem& problem) {
  return cut_to_image(layout.images(cells), problem.image_shape);
}

/// Its adjoint.
at::Tensor cells_of(const at::Tensor& image, const Cells& layout) {
  const Canvas& canvas = layout.canvas();
  return layout.of_images(
      at::constant_pad_nd(image, {0, canvas.width - image.size(3), 0, canvas.height - image.size(2)}));
}

}  // namespace

StepCovariance::StepCovariance(JointCovariance joint, const Cells& cells) : joint_(std::move(joint)) {
  if (cells.entries() > kMostMatrixEntries) return;
  const at::Tensor matrix = joint_.matrix(cells);
  matrix_ = (matrix + matrix.t()) * 0.5;
}

at::Tensor StepCovariance::times(const at::Tensor& cells) const {
  if (!matrix_.defined()) return joint_.times(cells);
  return at::matmul(cells.flatten(1), matrix_).view_as(cells);
}

bool can_project(const StepCovariance& covariance, const Problem& problem) {
  return covariance.matrix().defined() && problem.forward.is_linear() && noise_of(problem).is_homogeneous() &&
         measured_entries(problem) <= kMostFactoredEntries;
}

ProjectedCovariance project(const StepCovariance& covariance, const Problem& problem, const Cells& cells) {
  // A of the image in every row [Q h w] of `rows`, float64 [rows, m].
  const auto measured = [&](const at::Tensor& rows) {
    std::vector<at::Tensor> parts;
    for (const at::Tensor& some : rows.split(kRowsAtOnce)) {
      const at::Tensor image =
          seen(some.view({some.size(0), cells.values(), cells.rows(), cells.columns()}), cells, problem);
      parts.push_back(problem.forward.apply(image).flatten(1).to(at::kDouble));
    }
    return at::cat(parts);
  };
  const at::Tensor response = measured(covariance.matrix());  // J A^T [Q h w, m]
  const at::Tensor gram = measured(response.t().contiguous().to(covariance.matrix().scalar_type()));
  return {response.t().contiguous(), (gram + gram.t()) * 0.5};
}

KalmanGain::KalmanGain(const StepCovariance& covariance, ProjectedCovariance* projected,
                       const Problem& problem, const Cells& cells, std::int64_t iterations)
    : covariance_(covariance),
      projected_(projected),
      problem_(problem),
      cells_(cells),
      iterations_(iterations) {}

at::Tensor KalmanGain::correction(const at::Tensor& x, const at::Tensor& residual,
                                  const at::Tensor& variance) const {
  return projected_ ? by_factor(residual) : by_conjugate_gradients(x, residual, variance);
}

at::Tensor KalmanGain::by_factor(const at::Tensor& residual) const {
  const double variance = noise_of(problem_).variance();
  if (projected_->variance != variance) {
    const double rounding = kRounding * projected_->gram.diagonal().mean().item<double>();
    at::Tensor diagonal =
        at::full({projected_->gram.size(0)}, variance + rounding, projected_->gram.options());
    if (const at::Tensor observed = problem_.forward.observed(); observed.defined())
      diagonal = at::where(observed.flatten().to(diagonal.device()).ne(0), diagonal, 1.0);
    projected_->factor = at::linalg_cholesky(projected_->gram + diagonal.diag());
    projected_->variance = variance;
  }
  const at::Tensor right = residual.flatten(1).to(at::kDouble).t();             // [m, B]
  const at::Tensor solved = at::cholesky_solve(right, projected_->factor).t();  // [B, m]
  return at::matmul(solved, projected_->response)                               // [B, Q h w]
      .to(residual.scalar_type())
      .view({residual.size(0), cells_.values(), cells_.rows(), cells_.columns()});
}

at::Tensor KalmanGain::by_conjugate_gradients(const at::Tensor& x, const at::Tensor& residual,
                                              const at::Tensor& variance) const {
  const auto response = [&](const at::Tensor& u) {
    return covariance_.times(cells_of(problem_.forward.pull_back(x, u), cells_));
  };
  const auto gram = [&](const at::Tensor& u) {
    return problem_.forward.push_forward(x, seen(response(u), cells_, problem_));
  };
  return response(solve_by_conjugate_gradients(gram, residual, variance, iterations_));
}

}  // namespace dwgf
