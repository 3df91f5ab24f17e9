#include "prior/families/levy_walk.hpp"

#include <algorithm>
#include <cmath>

namespace dwgf {
namespace {

/// Compiled for what processors there are: nearly the whole time of a pass is spent here.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define DWGF_FOR_PROCESSORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define DWGF_FOR_PROCESSORS
#endif

/// out[i] = sum_j in[j] row[count - 1 - j + i], for i < cells and j < count; four of j at a time.
DWGF_FOR_PROCESSORS void convolve(const double* in, std::size_t count, const double* row, std::size_t cells,
                                  double* __restrict out) {
  for (std::size_t i = 0; i < cells; ++i) out[i] = 0.0;
  std::size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const double a = in[j], b = in[j + 1], c = in[j + 2], d = in[j + 3];
    const double* shifted = row + (count - 4 - j);
    for (std::size_t i = 0; i < cells; ++i)
      out[i] += (a * shifted[i + 3] + b * shifted[i + 2]) + (c * shifted[i + 1] + d * shifted[i]);
  }
  for (; j < count; ++j) {
    const double* shifted = row + (count - 1 - j);
    for (std::size_t i = 0; i < cells; ++i) out[i] += in[j] * shifted[i];
  }
}

/// The scale below which increments of a law are not found as a rule; 0 where 0 itself is likely.
double smallest_of(const LevyLaw& law) {
  switch (law.kind) {
    case LevyKind::gauss:
      return law.scale;
    case LevyKind::bernoulli_laplace:
      return 0.0;
    case LevyKind::laplace:
    case LevyKind::student:
      return 0.5 * law.scale;
  }
  return 0.0;
}

double spacing_of(const LevyLaw& law, std::size_t length, double tau, double resolution) {
  const double smallest = smallest_of(law);
  const double alone = smallest > 0 ? 1 / std::sqrt(1 + 4 * tau * tau / (smallest * smallest)) : 0.0;
  return tau * std::sqrt(std::max(1 / static_cast<double>(length), alone)) / resolution;
}

/// What of a message is less than this of its largest value is rounding.
constexpr double kNothing = 1e-19;
/// The sum of what arrives at a place, from a message of sum 1.
constexpr double kForgotten = 1e-250;

}  // namespace

/// The messages of one r, with their derivatives along v where that is asked for: the derivative of a
/// likelihood is v_k (x_k - r_k) times itself, but for a factor that does not depend on x.
class NoisyWalk::Pass {
 public:
  Pass(const NoisyWalk& walk, std::span<const double> r, std::span<const double> v)
      : walk_(walk), r_(r), v_(v), cells_(walk.cells()), firsts_(r.size()), forward_(r.size() * cells_) {
    if (!v.empty()) forward_tangent_.resize(forward_.size());
    row_.resize(2 * cells_);
    likelihood_.resize(cells_);
    for (std::size_t k = 0; k < r.size(); ++k) firsts_[k] = std::llround(r[k] / walk.spacing_) - walk.half_;
  }

  void run(std::span<double> mean, std::span<double> covariance) {
    go_forward();
    go_back(mean, covariance);
  }

 private:
  struct Message {
    std::vector<double> values, tangents;
  };

  double offset(std::size_t k, std::size_t i) const {  // x - r_k
    return static_cast<double>(firsts_[k] + static_cast<std::int64_t>(i)) * walk_.spacing_ - r_[k];
  }

  /// A message times the likelihood of place k, scaled to the sum 1.
  void see(std::size_t k, double* values, double* tangents) {
    likelihood(k);
    double sum = 0.0;
    for (std::size_t i = 0; i < cells_; ++i) sum += values[i] * likelihood_[i];
    if (!(sum > kForgotten)) return forget(values, tangents);
    const double scale = 1 / sum, step = v_.empty() ? 0.0 : v_[k] * walk_.spacing_;
    const double start = v_.empty() ? 0.0 : v_[k] * offset(k, 0);
    if (tangents) {
      for (std::size_t i = 0; i < cells_; ++i) {
        const double tilt = start + step * static_cast<double>(i);  // v_k (x - r_k)
        tangents[i] = (tangents[i] + tilt * values[i]) * (likelihood_[i] * scale);
      }
    }
    for (std::size_t i = 0; i < cells_; ++i) values[i] *= likelihood_[i] * scale;
  }

  /// exp(-(j h + d)^2 / (2 tau^2)) is the bell times q^j, but for a factor.
  void likelihood(std::size_t k) {
    const std::size_t half = static_cast<std::size_t>(walk_.half_);
    const double q = std::exp(-offset(k, half) * walk_.spacing_ / (walk_.tau_ * walk_.tau_)), back = 1 / q;
    double up = 1.0, down = 1.0;
    for (std::size_t j = 0; j <= half; ++j, up *= q, down *= back) {
      likelihood_[half + j] = walk_.bell_[half + j] * up;
      likelihood_[half - j] = walk_.bell_[half - j] * down;
    }
  }

  /// Where nothing arrives that a walk could have brought, the place's own r is all that is known of it.
  void forget(double* values, double* tangents) const {
    std::copy(walk_.bell_.begin(), walk_.bell_.end(), values);
    if (tangents) std::fill_n(tangents, cells_, 0.0);
  }

  static void scale(std::size_t i, double factor, double* values, double* tangents) {
    values[i] *= factor;
    if (tangents) tangents[i] *= factor;
  }

  /// The message in window `from` convolved with the law, in window `to`.
  void pass_on(std::size_t from, const double* values, const double* tangents, std::size_t to, double* out,
               double* out_tangents) {
    double largest = 0.0;
    for (std::size_t i = 0; i < cells_; ++i) largest = std::max(largest, std::abs(values[i]));
    std::size_t low = 0, high = cells_;
    while (low + 1 < high && std::abs(values[low]) < kNothing * largest) ++low;
    while (high > low + 1 && std::abs(values[high - 1]) < kNothing * largest) --high;
    const std::size_t count = high - low;
    const std::span<double> row(row_.data(), cells_ + count - 1);
    walk_.kernel_.row(firsts_[to] - firsts_[from] - static_cast<std::int64_t>(high - 1), row);
    convolve(values + low, count, row.data(), cells_, out);
    if (tangents) convolve(tangents + low, count, row.data(), cells_, out_tangents);
  }

  double* tangents_at(std::size_t k) {
    return forward_tangent_.empty() ? nullptr : forward_tangent_.data() + k * cells_;
  }

  void go_forward() {
    for (std::size_t k = 0; k < r_.size(); ++k) {
      double *values = forward_.data() + k * cells_, *tangents = tangents_at(k);
      if (k == 0) {  // from 0, where every walk begins
        walk_.kernel_.row(firsts_[0], {values, cells_});
        if (tangents) std::fill_n(tangents, cells_, 0.0);
      } else {
        pass_on(k - 1, values - cells_, tangents ? tangents - cells_ : nullptr, k, values, tangents);
      }
      see(k, values, tangents);
    }
  }

  void go_back(std::span<double> mean, std::span<double> covariance) {
    std::vector<double> values(cells_, 1.0), seen(cells_), tangents, seen_tangents;
    if (!v_.empty()) {
      tangents.assign(cells_, 0.0);
      seen_tangents.resize(cells_);
    }
    for (std::size_t k = r_.size(); k-- > 0;) {
      conclude(k, values, tangents, mean, covariance);
      if (k == 0) break;
      seen = values;
      seen_tangents = tangents;
      see(k, seen.data(), v_.empty() ? nullptr : seen_tangents.data());
      pass_on(k, seen.data(), v_.empty() ? nullptr : seen_tangents.data(), k - 1, values.data(),
              tangents.data());
    }
  }

  /// The marginal of place k: the product of what comes from both sides.
  void conclude(std::size_t k, const std::vector<double>& values, const std::vector<double>& tangents,
                std::span<double> mean, std::span<double> covariance) {
    const double* forward = forward_.data() + k * cells_;
    double sum = 0.0, first = 0.0;
    for (std::size_t i = 0; i < cells_; ++i) {
      sum += forward[i] * values[i];
      first += forward[i] * values[i] * offset(k, i);
    }
    const double shift = first / sum;
    mean[k] = r_[k] + shift;
    if (v_.empty()) return;
    const double* forward_tangent = tangents_at(k);
    double change = 0.0;
    for (std::size_t i = 0; i < cells_; ++i)
      change += (forward_tangent[i] * values[i] + forward[i] * tangents[i]) * (offset(k, i) - shift);
    covariance[k] = change / sum;
  }

  const NoisyWalk& walk_;
  std::span<const double> r_, v_;
  std::size_t cells_;
  std::vector<std::int64_t> firsts_;               // the first cell of each window
  std::vector<double> forward_, forward_tangent_;  // [length, cells]
  std::vector<double> row_, likelihood_;
};

NoisyWalk::NoisyWalk(const LevyLaw& law, std::size_t length, double tau, WalkAccuracy accuracy)
    : length_(length),
      tau_(tau),
      spacing_(spacing_of(law, length, tau, accuracy.resolution)),
      half_(std::llround(std::ceil(accuracy.reach * tau / spacing_))),
      bell_(static_cast<std::size_t>(2 * half_ + 1)),
      kernel_(law, spacing_, 4 * half_ + LatticeKernel::kNeighbours + 4) {
  for (std::size_t i = 0; i < bell_.size(); ++i) {
    const double x = static_cast<double>(static_cast<std::int64_t>(i) - half_) * spacing_ / tau;
    bell_[i] = std::exp(-0.5 * x * x);
  }
}

void NoisyWalk::mean(std::span<const double> r, std::span<double> mean) const {
  Pass(*this, r, {}).run(mean, {});
}

void NoisyWalk::mean_and_covariance(std::span<const double> r, std::span<const double> v,
                                    std::span<double> mean, std::span<double> covariance) const {
  Pass(*this, r, v).run(mean, covariance);
}

}  // namespace dwgf
