/// Proper scores of forecasts of an image that are not ensembles of single pixels: what an ensemble's CRPS is
/// compared with, and the score of all pixels together. As in calibration.hpp all is clipped to [-1, 1].
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// CRPS of the forecast clamp(n, -1, 1) with n ~ N(mean, deviation^2), a censored Gaussian (Jordan, Krueger,
/// Lerch, 2019, doi:10.18637/jss.v090.i12): with G(z) = z Phi(z)^2 + 2 Phi(z) phi(z) - Phi(sqrt(2) z) /
/// sqrt(pi), the integral of Phi^2, and all in units of the deviation,
///     G(truth - mean) - G(-1 - mean) + G(mean - truth) - G(mean - 1).
/// The absolute error for a deviation of 0, which is the CRPS of a point forecast. @pre deviation >= 0
double gaussian_crps(double mean, double deviation, double truth);

/// Energy score (Gneiting and Raftery, 2007, doi:10.1198/016214506000001437) of all pixels of an image
/// together, for particles [N, ...] and the truth [...], d values each:
///     (mean |x_i - truth| - (N - 1) / (2 N) mean over pairs i != j of |x_i - x_j|) / sqrt(d)
/// with the Euclidean norm: on the scale of a pixel, smaller is better, the root mean square error for one
/// particle. Unlike CRPS it sees how pixels go together. Of more than `kMostPaired` particles, so many,
/// evenly spaced, stand for the pairs. @pre N >= 1
double energy_score(const at::Tensor& particles, const at::Tensor& truth);
inline constexpr std::int64_t kMostPaired = 256;

}  // namespace dwgf
