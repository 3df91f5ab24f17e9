/// What is known of a random walk x_k = u_1 + ... + u_k, u of one law (levy_law.hpp), when each place is seen
/// with noise of one level:
///
///   r_k = x_k + tau n_k,    n ~ N(0, I),    k = 1 ... length
///
/// The walk is a Markov chain, so that the marginals of p(x | r) follow from messages that pass along it
/// forward and backward. A message is a product of smooth functions (the likelihoods of the r_k, and
/// convolutions with the law), and is held by its values on a lattice of spacing h. Nothing is lost but what
/// two messages have in common above the frequency pi / h, which falls as a Gaussian's does:
///
///   error ~ tau exp(-pi^2 (s / h)^2),    s the least deviation of a message:
///   s^2 = tau^2 max(1 / length, 1 / sqrt(1 + 4 tau^2 / smallest^2))
///
/// the first where all places tell of one (increments of 0 are likely, or tau is large), the second of a
/// Gaussian walk with increments of deviation `smallest`. Each place has a window of `reach` tau to both
/// sides of r_k, which leaves out exp(-reach^2 / 2) of the likelihood.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "prior/families/levy_law.hpp"

namespace dwgf {

struct WalkAccuracy {
  double resolution = 1.25;  ///< s / h: 1.25 leaves some 1e-6 tau, 1.9 what rounding leaves
  double reach = 7.0;        ///< in tau: 7 leaves 2e-11, 9 nothing
};

/// For one level. Pure.
class NoisyWalk {
 public:
  /// @pre tau > 0, length >= 1
  NoisyWalk(const LevyLaw& law, std::size_t length, double tau, WalkAccuracy accuracy = {});

  /// E[x | r], both [length].
  void mean(std::span<const double> r, std::span<double> mean) const;
  /// The same, and Cov(x | r) v, which is tau^2 times the derivative of the mean along v; all [length].
  void mean_and_covariance(std::span<const double> r, std::span<const double> v, std::span<double> mean,
                           std::span<double> covariance) const;

  /// Cells of a window: what a place costs is at most the square of them.
  std::size_t cells() const { return bell_.size(); }

 private:
  class Pass;

  std::size_t length_;
  double tau_, spacing_;
  std::int64_t half_;         // a window is the cell nearest to r_k, and as many to each side
  std::vector<double> bell_;  // the likelihood of a place whose r_k lies on the lattice
  LatticeKernel kernel_;
};

}  // namespace dwgf
