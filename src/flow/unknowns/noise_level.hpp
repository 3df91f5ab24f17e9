/// The standard deviation sigma of Gaussian noise, by its conjugate law: with an inverse gamma prior of
/// sigma^2, and S_i = sum over the observed entries of (y - A(x^i))^2,
///
///   sigma^2 | x ~ IG(k + m / 2, h + S / 2),     sigma^2 <- (h + mean_i S_i / 2) / (k + m / 2),
///
/// the mode of log sigma. k = h = 0, which says nothing in advance, gives the mean square of the residuals.
/// Between 1e-4 and 10. In the posterior's particles what the data cannot tell has its own scatter, so that
/// the mean square is not that of a fit, and does not err downwards.
#pragma once

#include <memory>

#include <dwgf/flow/unknown.hpp>

namespace dwgf {

struct NoiseLevelPrior {
  double shape = 0.0;  ///< k
  double scale = 0.0;  ///< h
};

/// @param start  the first sigma
std::shared_ptr<const Unknown> make_unknown_noise_level(double start, const NoiseLevelPrior& prior = {});

}  // namespace dwgf
