/// Laws of the independent increments u of a random walk x_k = u_1 + ... + u_k, a Lévy process at whole
/// times, as in the benchmark of arXiv 2509.12821:
///
///   gauss               N(0, scale^2)
///   laplace             p(u) = exp(-|u| / scale) / (2 scale)
///   bernoulli_laplace   0 with probability 1 - share, else laplace
///   student             scale times Student's t of `freedom` degrees of freedom (1: Cauchy)
///
/// and their convolution with functions that are known on a lattice of spacing h. Functions without
/// frequencies above pi / h are convolved exactly there, up to rounding, with the coefficients
///
///   K_j = (1 / pi) int_0^pi cos(j w) phi(w / h) dw,    phi the law's characteristic function
///
/// whether or not the law itself is smooth on the scale of h: a kink or an atom costs no accuracy.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dwgf {

enum class LevyKind { gauss, laplace, bernoulli_laplace, student };

struct LevyLaw {
  LevyKind kind = LevyKind::gauss;
  double scale = 1.0;    ///< above 0
  double share = 1.0;    ///< of increments that are not 0, of bernoulli_laplace; in (0, 1]
  double freedom = 1.0;  ///< of student, above 0
};

/// P(u = 0).
double atom_of(const LevyLaw& law);
/// log of the density of u at x where u is not 0, its share included.
double log_density(const LevyLaw& law, double x);
/// E[exp(i w u); u not 0], which is real; its value at 0 is 1 - atom_of(law).
double characteristic(const LevyLaw& law, double w);

/// Those coefficients for one law and spacing.
class LatticeKernel {
 public:
  /// @param near how far apart cells may be, in cells, in a call of row() that includes neighbours
  LatticeKernel(const LevyLaw& law, double spacing, std::int64_t near);

  /// The coefficients of differences first, first + 1, ... in cells, all times a common factor that keeps the
  /// largest of them from vanishing. Where every difference is larger than kNeighbours the law is smooth on
  /// the lattice, and they are its density. @pre the smallest difference is, or all are at most `near`
  void row(std::int64_t first, std::span<double> coefficients) const;

  static constexpr std::int64_t kNeighbours = 8;

 private:
  LevyLaw law_;
  double spacing_;
  std::vector<double> table_;  // K_0 ... K_near
};

}  // namespace dwgf
