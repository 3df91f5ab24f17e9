#include "flow/unknowns/simplex_least_squares.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

namespace dwgf {

namespace {

constexpr double kRidge = 1e-13;      // of H's mean diagonal: what makes every face's system regular
constexpr double kTolerance = 1e-11;  // of the same: a slope that counts as none

/// The free entries and what is found of them.
class ActiveSet {
 public:
  ActiveSet(const at::Tensor& h, const at::Tensor& b, const at::Tensor& start)
      : scale_(std::max(h.diagonal().mean().item<double>(), std::numeric_limits<double>::min())),
        h_(h + kRidge * scale_ * at::eye(h.size(0), at::kDouble)),
        b_(b.contiguous()),
        k_(start.clone().contiguous()) {
    for (std::int64_t j = 0; j < k_.numel(); ++j)
      if (value(j) > 0) free_.push_back(j);
  }

  /// The best point of the face of free entries, if need be on its border, where some are no longer free.
  void settle() {
    for (bool whole = false; !whole;) {
      const at::Tensor best = best_of_face();
      const double* wanted = best.data_ptr<double>();
      double share = 1.0;  // of the way, until an entry is 0
      std::size_t stops = free_.size();
      for (std::size_t f = 0; f < free_.size(); ++f) {
        const double now = value(free_[f]);
        if (wanted[f] > 0 || now / (now - wanted[f]) >= share) continue;
        share = now / (now - wanted[f]);
        stops = f;
      }
      whole = stops == free_.size();
      std::vector<std::int64_t> left;
      for (std::size_t f = 0; f < free_.size(); ++f) {
        double& entry = value(free_[f]);
        entry = f == stops ? 0.0 : std::max(0.0, entry + share * (wanted[f] - entry));
        if (entry > 0) left.push_back(free_[f]);
      }
      free_ = std::move(left);
    }
  }

  /// Frees the entry that the function falls along fastest. False where it falls along none.
  bool grow() {
    const at::Tensor slope = b_ - at::mv(h_, k_);  // of a gain
    const double* along = slope.data_ptr<double>();
    double level = 0.0;  // the multiplier of the sum: the slope along what is free
    for (const std::int64_t j : free_) level += along[j] / static_cast<double>(free_.size());
    std::int64_t best = -1;
    double most = kTolerance * scale_;
    for (std::int64_t j = 0; j < k_.numel(); ++j) {
      if (value(j) > 0 || along[j] - level <= most) continue;
      most = along[j] - level;
      best = j;
    }
    if (best < 0) return false;
    value(best) = std::numeric_limits<double>::min();
    free_.insert(std::ranges::lower_bound(free_, best), best);
    return true;
  }

  at::Tensor point() const { return k_.clamp_min(0.0) / k_.clamp_min(0.0).sum(); }

 private:
  double& value(std::int64_t j) { return k_.data_ptr<double>()[j]; }

  /// argmin over the free entries with sum 1, of any sign.
  at::Tensor best_of_face() const {
    const auto count = static_cast<std::int64_t>(free_.size());
    const at::Tensor free = at::tensor(at::ArrayRef<std::int64_t>(free_), at::kLong);
    at::Tensor system = at::zeros({count + 1, count + 1}, at::kDouble);
    system.slice(0, 0, count).slice(1, 0, count).copy_(h_.index_select(0, free).index_select(1, free));
    system[count].slice(0, 0, count).fill_(scale_);
    system.select(1, count).slice(0, 0, count).fill_(scale_);
    const at::Tensor right = at::cat({b_.index_select(0, free), at::full({1}, scale_, at::kDouble)});
    return at::linalg_solve(system, right).slice(0, 0, count).contiguous();
  }

  double scale_;
  at::Tensor h_, b_, k_;
  std::vector<std::int64_t> free_;  // ascending
};

}  // namespace

at::Tensor least_squares_on_simplex(const at::Tensor& h, const at::Tensor& b, const at::Tensor& start) {
  ActiveSet set(h, b, start);
  const std::int64_t most = 3 * b.numel();  // of faces; rounding could let it go round in a circle
  for (std::int64_t n = 0; n < most; ++n) {
    set.settle();
    if (!set.grow()) break;
  }
  return set.point();
}

}  // namespace dwgf
