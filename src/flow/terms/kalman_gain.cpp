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
constexpr std::int64_t kColumnsAtOnce = 256;
constexpr double kRounding = 1e-6;  // of J's float32, beside its mean variance

/// The rows of the identity from `first` on, [count, size].
at::Tensor unit_rows(std::int64_t first, std::int64_t count, std::int64_t size,
                     const at::TensorOptions& options) {
  at::Tensor rows = at::zeros({count, size}, options);
  rows.narrow(1, first, count).fill_diagonal_(1.0);
  return rows;
}

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

StepCovariance::StepCovariance(JointCovariance joint, const Cells& cells, const at::TensorOptions& like)
    : joint_(std::move(joint)) {
  const std::int64_t size = cells.entries();
  if (size > kMostMatrixEntries) return;
  std::vector<at::Tensor> rows;
  for (std::int64_t first = 0; first < size; first += kColumnsAtOnce) {
    const std::int64_t count = std::min(kColumnsAtOnce, size - first);
    rows.push_back(joint_
                       .times(unit_rows(first, count, size, like)
                                  .view({count, cells.values(), cells.rows(), cells.columns()}))
                       .flatten(1));
  }
  const at::Tensor all = at::cat(rows);  // [Q h w, Q h w]
  matrix_ = (all + all.t()) * 0.5;
}

at::Tensor StepCovariance::times(const at::Tensor& cells) const {
  if (!matrix_.defined()) return joint_.times(cells);
  return at::matmul(cells.flatten(1), matrix_).view_as(cells);
}

bool can_project(const StepCovariance& covariance, const Problem& problem) {
  return covariance.is_matrix() && problem.forward.is_linear() && noise_of(problem).is_homogeneous() &&
         measured_entries(problem) <= kMostFactoredEntries;
}

ProjectedCovariance project(const StepCovariance& covariance, const Problem& problem, const Cells& cells) {
  const std::int64_t m = measured_entries(problem);
  std::vector<std::int64_t> batch = problem.forward.measurement_shape();
  batch.insert(batch.begin(), 0);
  std::vector<at::Tensor> response, gram;
  for (std::int64_t first = 0; first < m; first += kColumnsAtOnce) {
    batch.front() = std::min(kColumnsAtOnce, m - first);
    const at::Tensor units = unit_rows(first, batch.front(), m, problem.prior.options).view(batch);
    // A linear operator's derivative is the same everywhere.
    const at::Tensor pulled = problem.forward.pull_back({}, units);                   // [B, C, H, W]
    const at::Tensor spread = covariance.times(cells_of(pulled, cells));              // [B, Q, h, w]
    const at::Tensor measured = problem.forward.apply(seen(spread, cells, problem));  // [B, ...]
    response.push_back(spread.flatten(1).to(at::kDouble));
    gram.push_back(measured.flatten(1).to(at::kDouble));
  }
  const at::Tensor all = at::cat(gram);
  return {at::cat(response), (all + all.t()) * 0.5};
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
