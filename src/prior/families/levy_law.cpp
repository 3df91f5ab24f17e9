#include "prior/families/levy_law.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <numbers>

namespace dwgf {
namespace {

using std::numbers::pi;

/// Gauss-Legendre nodes and weights on [-1, 1], by Newton's method on Legendre's polynomial.
struct Nodes {
  static constexpr std::size_t kCount = 16;
  std::array<double, kCount> at{}, weight{};

  Nodes() {
    for (std::size_t i = 0; i < kCount; ++i) {
      double x = std::cos(pi * (static_cast<double>(i) + 0.75) / (kCount + 0.5)), slope = 1.0;
      for (int iteration = 0; iteration < 50; ++iteration) {
        double last = 1.0, now = x;  // P_0, P_1
        for (std::size_t n = 2; n <= kCount; ++n) {
          const double order = static_cast<double>(n);
          const double next = ((2 * order - 1) * x * now - (order - 1) * last) / order;
          last = now;
          now = next;
        }
        slope = kCount * (x * now - last) / (x * x - 1);
        x -= now / slope;
      }
      at[i] = x;
      weight[i] = 2 / ((1 - x * x) * slope * slope);
    }
  }
};

/// Where [0, pi] is cut: evenly, so that no panel sees more than two waves of cos(near w), and towards 0 by
/// halves, since phi(w / h) has its peak there, with a width of h / scale and a kink for heavy tails.
std::vector<double> panels(std::int64_t near) {
  const std::int64_t even = std::max<std::int64_t>(32, near / 4);
  std::vector<double> ends;
  for (double end = pi / static_cast<double>(even); end > 1e-13; end /= 2) ends.push_back(end);
  ends.push_back(0.0);
  std::reverse(ends.begin(), ends.end());
  for (std::int64_t k = 2; k <= even; ++k)
    ends.push_back(pi * static_cast<double>(k) / static_cast<double>(even));
  return ends;
}

}  // namespace

double atom_of(const LevyLaw& law) {
  return law.kind == LevyKind::bernoulli_laplace ? 1.0 - law.share : 0.0;
}

double log_density(const LevyLaw& law, double x) {
  const double u = std::abs(x) / law.scale;
  switch (law.kind) {
    case LevyKind::gauss:
      return -0.5 * u * u - std::log(law.scale * std::sqrt(2 * pi));
    case LevyKind::laplace:
      return -u - std::log(2 * law.scale);
    case LevyKind::bernoulli_laplace:
      return -u - std::log(2 * law.scale) + std::log(law.share);
    case LevyKind::student: {
      const double n = law.freedom;
      return std::lgamma((n + 1) / 2) - std::lgamma(n / 2) - 0.5 * std::log(n * pi) - std::log(law.scale) -
             (n + 1) / 2 * std::log1p(u * u / n);
    }
  }
  std::abort();
}

double characteristic(const LevyLaw& law, double w) {
  const double v = std::abs(w) * law.scale;
  switch (law.kind) {
    case LevyKind::gauss:
      return std::exp(-0.5 * v * v);
    case LevyKind::laplace:
      return 1 / (1 + v * v);
    case LevyKind::bernoulli_laplace:
      return law.share / (1 + v * v);
    case LevyKind::student: {
      const double order = law.freedom / 2, argument = std::sqrt(law.freedom) * v;
      if (argument < 1e-14) return 1.0;
      if (argument > 700.0) return 0.0;
      return std::cyl_bessel_k(order, argument) *
             std::exp(order * std::log(argument) - std::lgamma(order) - (order - 1) * std::numbers::ln2);
    }
  }
  std::abort();
}

LatticeKernel::LatticeKernel(const LevyLaw& law, double spacing, std::int64_t near)
    : law_(law), spacing_(spacing), table_(static_cast<std::size_t>(near) + 1, 0.0) {
  static const Nodes nodes;
  const std::vector<double> ends = panels(near);
  for (std::size_t panel = 0; panel + 1 < ends.size(); ++panel) {
    const double half = (ends[panel + 1] - ends[panel]) / 2, middle = (ends[panel + 1] + ends[panel]) / 2;
    for (std::size_t i = 0; i < Nodes::kCount; ++i) {
      const double w = middle + half * nodes.at[i];
      const double share = half * nodes.weight[i] * characteristic(law, w / spacing) / pi;
      const std::complex<double> turn = std::polar(1.0, w);
      std::complex<double> wave = share;
      for (double& entry : table_) {
        entry += wave.real();
        wave *= turn;
      }
    }
  }
  table_[0] += atom_of(law);
}

void LatticeKernel::row(std::int64_t first, std::span<double> coefficients) const {
  const std::int64_t last = first + static_cast<std::int64_t>(coefficients.size()) - 1;
  const std::int64_t least = first > 0 ? first : (last < 0 ? -last : 0);
  if (least <= kNeighbours) {
    for (std::size_t i = 0; i < coefficients.size(); ++i)
      coefficients[i] = table_[static_cast<std::size_t>(std::abs(first + static_cast<std::int64_t>(i)))];
    return;
  }
  const double largest = log_density(law_, static_cast<double>(least) * spacing_);
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    const double difference = static_cast<double>(first + static_cast<std::int64_t>(i)) * spacing_;
    coefficients[i] = std::exp(log_density(law_, difference) - largest);
  }
}

}  // namespace dwgf
