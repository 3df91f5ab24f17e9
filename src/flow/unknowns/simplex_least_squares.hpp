/// The convex quadratic that a kernel's normal equations are, on the simplex.
#pragma once

#include <ATen/core/Tensor.h>

namespace dwgf {

/// argmin_k k^T H k / 2 - b^T k over k >= 0, sum k = 1, by an active-set method (Lawson and Hanson 1974,
/// chapter 23, with the sum as a constraint): exact to rounding, in a finite number of steps, and the same
/// bits for the same arguments.
/// @param h      symmetric and positive semi-definite, [n, n] float64 on the host
/// @param b      [n]
/// @param start  a point of the simplex, [n]
at::Tensor least_squares_on_simplex(const at::Tensor& h, const at::Tensor& b, const at::Tensor& start);

}  // namespace dwgf
