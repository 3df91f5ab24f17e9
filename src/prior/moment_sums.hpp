/// Sums over samples from which the moments of a prior are made (moments.hpp), exact in any order: what a
/// block of samples adds is rounded to an integer, llrint(v 2^32) in int64, and integers are added. A block
/// gives the same numbers wherever it is computed, so the sums do not depend on how blocks are dealt to
/// ranks.
///
/// A sample v is cells [Q, h, w]. Two kinds of sums of its products:
///
///   full             sum v v^T                                     [Q h w, Q h w], all samples of one size
///   shift-invariant  sum (1 / h w) sum_p v(p) v(p + delta)^T       [offsets, Q, Q], samples of any size
///
/// over the pairs of places p, p + delta that both lie in the image, for |delta_y|, |delta_x| <= reach. Of
/// the offsets delta and -delta, whose sums are each other's transposed, one is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// A second moment that is the same everywhere: S(delta) = E[v(p) v(p + delta)^T] at every offset, [2 e + 1,
/// 2 e + 1, Q, Q] float64; offset (0, 0) is entry (e, e). S(-delta) = S(delta)^T.
struct OffsetMoments {
  at::Tensor values;

  std::int64_t reach() const { return (values.size(0) - 1) / 2; }  ///< e
  at::Tensor at_zero() const { return values[reach()][reach()]; }  ///< [Q, Q]
};

/// What a sum is of.
struct MomentShape {
  std::int64_t values = 0, rows = 0, columns = 0;  ///< Q, h, w; of shift-invariant sums h and w mean nothing
  std::optional<std::int64_t> reach = {};          ///< nothing: the full sums

  std::int64_t entries() const { return reach ? values : values * rows * columns; }  ///< of the mean
  /// Offsets that are kept; 1 of full sums.
  std::int64_t offsets() const { return reach ? 2 * *reach * (*reach + 1) + 1 : 1; }
  std::uint64_t bytes() const;
};

class MomentSums {
 public:
  /// @param blocks  how often samples are added at most, by all ranks together: each addition stays below
  /// 2^30 / blocks, or is counted as out of range
  MomentSums(const MomentShape& shape, std::int64_t blocks, const at::Device& device = at::kCPU);

  /// Adds samples 0 ... count - 1 of cells [B, Q, h, w]. The bits of what is added depend on B, as those of a
  /// matrix product do.
  void add(const at::Tensor& cells, std::int64_t count);

  /// Everything that was added, as shape.bytes() / 8 integers: to store, and to add those of other ranks to.
  void write_to(std::span<std::int64_t> numbers) const;
  /// In place of what was added.
  void read_from(std::span<const std::int64_t> numbers);

  /// How often samples were added whose sums were not finite or out of range; nothing else is valid then.
  std::int64_t out_of_range() const;
  std::int64_t samples() const;
  /// Mean of v: [Q, h, w], or over all places [Q, 1, 1]. This and what follows: float64 on the CPU.
  at::Tensor mean() const;
  /// Full: E[v v^T], [Q h w, Q h w].
  at::Tensor second() const;
  /// Shift-invariant: E[v(p) v(p + delta)^T].
  OffsetMoments offsets() const;

 private:
  void add_rounded(at::Tensor place, const at::Tensor& sum);

  MomentShape shape_;
  double limit_;
  at::Tensor
      sums_;  // int64: first [entries], second [offsets, .., ..], weights [offsets], samples, out of range
};

/// The shift-invariant moments of a full one [Q h w, Q h w]: the average over the valid pairs of places.
OffsetMoments shift_average(const at::Tensor& second, const MomentShape& shape);

}  // namespace dwgf
