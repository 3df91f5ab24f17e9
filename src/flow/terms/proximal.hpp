/// What a measurement makes of an estimated image whose error is white, without any network: per sample,
///
///   prox(x) = argmin_u  -log p(y | A u) + |u - x|^2 / (2 rho^2)
///           = x + rho^2 A^T (rho^2 A A^T + R)^-1 (y - A x)      (A linear, Gaussian noise of variance R)
///
/// by conjugate gradients. Where A is not linear, a few Gauss-Newton steps about x; where the noise is not
/// Gaussian, R is the inverse of its information at A(x), and y - A(x) one step of scoring.
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/flow/problem.hpp>

namespace dwgf {

/// @param x         [B, C, H, W], of the image's own size
/// @param variance  rho^2 [B], above 0
/// @return [B, C, H, W]
/// @pre the problem has noise of a level above 0
at::Tensor proximal_step(const Problem& problem, const at::Tensor& x, const at::Tensor& variance);

}  // namespace dwgf
