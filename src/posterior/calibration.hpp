/// Whether an ensemble's spread says how wrong it is: quantiles, intervals, and scores of one pixel's
/// particles x_1 <= ... <= x_N against its truth. Computed in double, in the order of the particles.
#pragma once

#include <cstdint>
#include <span>

namespace dwgf {

/// The quantile at position p (N + 1) of the sorted values, counted from 1, linear between neighbours, the
/// first or last value beyond them: for N exchangeable values and another one of their kind, the other lies
/// below position k with probability k / (N + 1), between whole positions about so. @pre not empty, 0 < p <
/// 1; sorted, which is not checked
double ensemble_quantile(std::span<const float> sorted, double p);

/// The share of exchangeable values that fall between the quantiles at `lower` and `upper` of N of them:
/// upper - lower, less where N is too small for these positions. At most (N - 1) / (N + 1).
double attainable_level(std::int64_t particles, double lower, double upper);

/// The mean over pairs i != j of |x_i - x_j|, 0 for one particle.
/// @pre not empty; sorted, which is not checked
double mean_pair_difference(std::span<const float> sorted);

/// Continuous ranked probability score of the particles' empirical distribution F (Gneiting and Raftery,
/// 2007, doi:10.1198/016214506000001437): int (F(u) - [u >= truth])^2 du = mean |x_i - truth| - 1/(2 N^2)
/// sum_ij |x_i - x_j|. The absolute error for one particle. All clipped to [-1, 1] first.
/// @pre not empty; sorted, which is not checked
double ensemble_crps(std::span<const float> sorted, double truth);

/// z with P(n < z) = p for n ~ N(0, 1). @pre 0 < p < 1
double normal_quantile(double p);

/// An interval [lower, upper] of a pixel with its posterior mean, made wider for an independent error of
/// standard deviation `error` that the particles do not have (the autoencoder's own): each half-width h
/// becomes sqrt(h^2 + (z error)^2), z the normal quantile at (1 + level) / 2. Exact for Gaussians. A mean
/// outside of the interval leaves a half-width of 0 on that side.
struct Interval {
  double lower = 0.0;
  double upper = 0.0;
};
Interval widened(Interval interval, double mean, double error, double level);

/// Pixels whose truth lies in their interval. Those at the ends of the scale are told apart: a decoder
/// reaches them by saturating, so that they say little of the spread.
struct Coverage {
  static constexpr double kClippedFrom = 0.99;  ///< |truth| from where a pixel counts as clipped

  std::int64_t inner = 0, inner_covered = 0;      ///< |truth| < 0.99
  std::int64_t clipped = 0, clipped_covered = 0;  ///< the others

  /// Truth and interval are clipped to [-1, 1] first.
  void add(double truth, Interval interval);
};

}  // namespace dwgf
