/// Sums that do not depend on the layout of ranks: llrint(v 2^40) in int64, added by integers, exact in any
/// order. A sum stays below 2^23 in size; a term of at least 2^22 / N, or one that is not finite, counts as
/// diverged.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// Running sums of v and v^2 over the particles of one ensemble, element-wise.
class EnsembleMoments {
 public:
  /// Sums of tensors with `elements` values over `particles` particles, kept on `device`.
  EnsembleMoments(std::int64_t elements, std::int64_t particles, const at::Device& device = at::kCPU);

  /// Adds samples 0 ... count - 1 of v [B, ...], elements values each.
  void add(const at::Tensor& v, std::int64_t count);

  /// All-reduces the sums over `group`, which works on that device's memory; moments are valid after wait()
  /// on every rank.
  void start(Collective& group);
  void wait();

  /// True on every rank when any term on any rank had diverged; waits for the device. @pre wait() was called
  bool diverged() const;
  /// [elements] float64; NaN where anything diverged, so that it cannot be overlooked. @pre wait() was called
  at::Tensor mean() const;
  /// Unbiased, 0 for one particle, never negative. [elements] float64. @pre wait() was called
  at::Tensor variance() const;

 private:
  std::int64_t elements_;
  std::int64_t particles_;
  at::Tensor sums_;  // int64 [2 elements + 1]: v, v^2, count of diverged terms
  std::unique_ptr<PendingCollective> pending_;
};

}  // namespace dwgf
