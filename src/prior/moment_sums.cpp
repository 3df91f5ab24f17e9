#include "prior/moment_sums.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <ATen/ATen.h>

#include "base/precondition.hpp"

namespace dwgf {

namespace {

constexpr double kScale = 0x1p32;
constexpr double kLargestSum = 0x1p30;

struct Offset {
  std::int64_t y = 0, x = 0;
};

/// Zero first, then those of which the first coordinate that is not zero is positive.
std::vector<Offset> kept_offsets(std::int64_t reach) {
  std::vector<Offset> offsets;
  for (std::int64_t x = 0; x <= reach; ++x) offsets.push_back({0, x});
  for (std::int64_t y = 1; y <= reach; ++y)
    for (std::int64_t x = -reach; x <= reach; ++x) offsets.push_back({y, x});
  return offsets;
}

/// The part of [..., h, w] whose partner at `shift` lies in it too.
at::Tensor inside(const at::Tensor& cells, const Offset& shift) {
  const std::int64_t h = cells.size(-2) - std::abs(shift.y), w = cells.size(-1) - std::abs(shift.x);
  return cells.narrow(-2, std::max<std::int64_t>(0, -shift.y), h)
      .narrow(-1, std::max<std::int64_t>(0, -shift.x), w);
}

/// [Q, n] of [B, Q, h, w].
at::Tensor by_value(const at::Tensor& cells) {
  return cells.transpose(0, 1).flatten(1);
}

}  // namespace

std::uint64_t MomentShape::bytes() const {
  const std::int64_t side = reach ? values : entries();
  return static_cast<std::uint64_t>(entries() + offsets() * (side * side + 1) + 2) * sizeof(std::int64_t);
}

MomentSums::MomentSums(const MomentShape& shape, std::int64_t blocks, const at::Device& device)
    : shape_(shape),
      limit_(kLargestSum / static_cast<double>(std::max<std::int64_t>(blocks, 1))),
      sums_(at::zeros({static_cast<std::int64_t>(shape.bytes() / sizeof(std::int64_t))},
                      at::TensorOptions(at::kLong).device(device))) {}

void MomentSums::add_rounded(at::Tensor place, const at::Tensor& sum) {
  const at::Tensor good = sum.abs() < limit_;  // false for NaN
  // Rounded as llrint does, half to even; float64 holds the product exactly.
  place.add_(at::where(good, sum * kScale, 0.0).round_().to(at::kLong).view_as(place));
  sums_.narrow(0, sums_.numel() - 1, 1).add_(good.logical_not().any().to(at::kLong));
}

void MomentSums::add(const at::Tensor& cells, std::int64_t count) {
  precondition(cells.size(1) == shape_.values, "cells of as many values as the sums");
  const at::Tensor counted = at::arange(cells.size(0), sums_.options()).lt(count).view({-1, 1, 1, 1});
  const at::Tensor v = at::where(counted, cells.to(sums_.device(), at::kDouble), 0.0);
  const std::int64_t entries = shape_.entries(), offsets = shape_.offsets();
  const std::int64_t side = shape_.reach ? shape_.values : entries;
  at::Tensor first = sums_.narrow(0, 0, entries);
  at::Tensor second = sums_.narrow(0, entries, offsets * side * side).view({offsets, side, side});
  at::Tensor weights = sums_.narrow(0, entries + offsets * side * side, offsets);
  sums_.narrow(0, sums_.numel() - 2, 1).add_(count);
  if (!shape_.reach) {
    const at::Tensor rows = v.flatten(1);
    add_rounded(first, rows.sum(0));
    add_rounded(second[0], at::matmul(rows.t(), rows));
    return;
  }
  const std::int64_t h = v.size(2), w = v.size(3);
  const double share = 1.0 / static_cast<double>(h * w);
  add_rounded(first, v.sum({0, 2, 3}) * share);
  std::int64_t k = 0;
  for (const Offset& offset : kept_offsets(*shape_.reach)) {
    const std::int64_t pairs = (h - std::abs(offset.y)) * (w - std::abs(offset.x));
    if (h > std::abs(offset.y) && w > std::abs(offset.x)) {
      const at::Tensor from = by_value(inside(v, offset)), to = by_value(inside(v, {-offset.y, -offset.x}));
      add_rounded(second[k], at::matmul(from, to.t()) * share);
      weights[k] +=
          static_cast<std::int64_t>(static_cast<double>(count) * static_cast<double>(pairs) * share * kScale);
    }
    ++k;
  }
}

void MomentSums::write_to(std::span<std::int64_t> numbers) const {
  precondition(static_cast<std::int64_t>(numbers.size()) == sums_.numel(), "room for all numbers");
  at::from_blob(numbers.data(), sums_.sizes(), at::kLong).copy_(sums_);
}

void MomentSums::read_from(std::span<const std::int64_t> numbers) {
  precondition(static_cast<std::int64_t>(numbers.size()) == sums_.numel(),
               "as many numbers as the sums have");
  sums_.copy_(at::tensor(at::IntArrayRef(numbers.data(), numbers.size()), at::kLong));
}

std::int64_t MomentSums::out_of_range() const {
  return sums_[sums_.numel() - 1].item<std::int64_t>();
}

std::int64_t MomentSums::samples() const {
  return sums_[sums_.numel() - 2].item<std::int64_t>();
}

at::Tensor MomentSums::mean() const {
  const at::Tensor mean =
      sums_.cpu().narrow(0, 0, shape_.entries()).to(at::kDouble) / (kScale * static_cast<double>(samples()));
  return mean.view({shape_.values, shape_.reach ? 1 : shape_.rows, shape_.reach ? 1 : shape_.columns});
}

at::Tensor MomentSums::second() const {
  precondition(!shape_.reach, "full sums");
  const std::int64_t n = shape_.entries();
  const at::Tensor second = sums_.cpu().narrow(0, n, n * n).to(at::kDouble).view({n, n}) /
                            (kScale * static_cast<double>(samples()));
  return (second + second.t()) / 2;
}

OffsetMoments MomentSums::offsets() const {
  precondition(shape_.reach.has_value(), "shift-invariant sums");
  const std::int64_t q = shape_.values, count = shape_.offsets(), e = *shape_.reach;
  const at::Tensor sums = sums_.cpu().narrow(0, q, count * q * q).to(at::kDouble).view({count, q, q});
  const at::Tensor weights = sums_.cpu().narrow(0, q + count * q * q, count).to(at::kDouble);
  OffsetMoments moments{at::zeros({2 * e + 1, 2 * e + 1, q, q}, at::kDouble)};
  std::int64_t k = 0;
  for (const Offset& offset : kept_offsets(e)) {
    if (const double weight = weights[k].item<double>(); weight > 0) {
      const at::Tensor value = sums[k] / weight;
      moments.values[e + offset.y][e + offset.x] = value;
      moments.values[e - offset.y][e - offset.x] = value.t();
    }
    ++k;
  }
  at::Tensor zero = moments.values[e][e];
  zero.copy_((zero + zero.t()) / 2);
  return moments;
}

OffsetMoments shift_average(const at::Tensor& second, const MomentShape& shape) {
  const std::int64_t q = shape.values, h = shape.rows, w = shape.columns;
  const std::int64_t e = std::max(h, w) - 1;
  const at::Tensor pairs = second.view({q, h, w, q, h, w});
  OffsetMoments moments{at::zeros({2 * e + 1, 2 * e + 1, q, q}, at::kDouble)};
  for (std::int64_t y = 1 - h; y < h; ++y) {
    for (std::int64_t x = 1 - w; x < w; ++x) {
      // [Q, Q, w, h] after both diagonals: entries (p, p + (y, x))
      const at::Tensor valid = pairs.diagonal(y, 1, 4).diagonal(x, 1, 3);
      moments.values[e + y][e + x] = valid.mean(at::IntArrayRef{2, 3});
    }
  }
  return moments;
}

}  // namespace dwgf
