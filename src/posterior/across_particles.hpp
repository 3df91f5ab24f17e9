/// All particles' values of a pixel together, while every rank holds all pixels of its own particles only:
/// pieces of pixels are exchanged so that each rank gets all N values of its share of them, and no rank ever
/// all values.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/collective.hpp>
#include <dwgf/comm/grid.hpp>

namespace dwgf {

/// The N values of one pixel in particle order, free to be put in another -> the quantities wanted of it.
using PixelReduction =
    std::function<void(std::span<float> particles, std::int64_t pixel, std::span<double> quantities)>;

/// Collective over `group`. `own`: this rank's samples, float32 [batches_per_rank * micro_batch, pixels], in
/// the order of its batches; what it has less is padding of any value. Returns float64 [quantities, pixels],
/// on every rank the same. Every pixel is reduced by itself, so that the bits do not depend on the layout of
/// ranks.
///
/// Memory: twice `values_at_once` values over all ranks, and the result.
at::Tensor reduce_across_particles(const at::Tensor& own, const ParticleShare& share, Collective& group,
                                   std::int64_t quantities, const PixelReduction& reduction,
                                   std::int64_t values_at_once = std::int64_t{1} << 24);

}  // namespace dwgf
