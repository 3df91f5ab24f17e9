/// What a measurement says of an estimate's error, by the error's measured covariance alone. With J the joint
/// covariance of errors of latents and pixels (prior/moments.hpp), A' the operator's derivative at the
/// estimate x and R the variance of every entry of y, the correction of (z, x) for a residual r is
///
///   (dz, dx) = J A'^T u,    (A' J A'^T + R) u = r
///
/// in cells [B, Q, h, w]; A' acts on the image in the corner of the pixels' part. No network is called.
///
/// Small problems with a linear operator are solved by a Cholesky factor, in float64, which serves all steps
/// and images that have this J and operator; others by conjugate gradients, sample by sample, in the number
/// of iterations that is asked for.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/problem.hpp>

#include "prior/moments.hpp"

namespace dwgf {

/// J of one step, as one matrix where it is small enough.
class StepCovariance {
 public:
  StepCovariance(JointCovariance joint, const Cells& cells);

  /// J; undefined where it is too large.
  const at::Tensor& matrix() const { return matrix_; }
  /// J cells.
  at::Tensor times(const at::Tensor& cells) const;
  const JointCovariance& joint() const { return joint_; }

 private:
  JointCovariance joint_;
  at::Tensor matrix_;  // [Q h w, Q h w]
};

/// A J A^T of a linear operator, and J A^T.
struct ProjectedCovariance {
  at::Tensor response;  ///< (J A^T)^T [m, Q h w], float64; m counts all entries of y
  at::Tensor gram;      ///< A J A^T [m, m], float64
  double variance = -1.0;
  at::Tensor factor;  ///< of gram + R, R = `variance` where observed and 1 elsewhere
};

/// Whether the problem is small and simple enough for ProjectedCovariance.
bool can_project(const StepCovariance& covariance, const Problem& problem);
ProjectedCovariance project(const StepCovariance& covariance, const Problem& problem, const Cells& cells);

class KalmanGain {
 public:
  /// What is handed over outlives the gain. `projected`: as can_project says, else null.
  KalmanGain(const StepCovariance& covariance, ProjectedCovariance* projected, const Problem& problem,
             const Cells& cells, std::int64_t iterations);

  /// @param x         [B, C, H, W], where A' is taken
  /// @param residual  r [B, ...], 0 where not observed
  /// @param variance  R [B, ...], above 0
  at::Tensor correction(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& variance) const;

 private:
  at::Tensor by_factor(const at::Tensor& residual) const;
  at::Tensor by_conjugate_gradients(const at::Tensor& x, const at::Tensor& residual,
                                    const at::Tensor& variance) const;

  const StepCovariance& covariance_;
  ProjectedCovariance* projected_;
  const Problem& problem_;
  const Cells& cells_;
  std::int64_t iterations_;
};

}  // namespace dwgf
